#!/usr/bin/env python3
"""Operating the agent: HTTP, a changed app file, what is stored and its end."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path

from edgewise import EdgewiseTest

APP = """
app: pump
state: state
http: {port: 0}
sources:
  in: {type: file, path: in.jsonl, key: id, time: t, follow: true}
streams:
  ten:
    from: in
    window: {type: tumbling, size: 10s}
    select: {id: key, mean: avg(temp), n: count()}
rules:
  hot: {from: in, when: temp > 80, clear: temp < 75}
sinks:
  out: {type: file, path: out.jsonl, from: [ten, hot]}
"""
DRIFT = "  moved: {from: in, when: 'adwin(temp, 0.3) or page_hinkley(temp, 1) > 1e6', kind: event}\n"


def promtool():
    """Debian's promtool, unpacked; None where it cannot be had."""
    found = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if found:
        return found
    folder = Path(tempfile.mkdtemp())
    unittest.addModuleCleanup(shutil.rmtree, folder)
    done = subprocess.run("apt-get download prometheus && dpkg-deb -x prometheus_*.deb .",
                          shell=True, cwd=folder, capture_output=True, check=False)
    tool = folder / "usr/bin/promtool"
    return str(tool) if done.returncode == 0 and tool.exists() else None


class AgentProcess:
    """An agent in a folder, with its log."""

    def __init__(self, test, app="app.yaml", environment=None, arguments=()):
        self.test = test
        self.log = test.folder / f"log-{time.monotonic_ns()}"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(["edgewise", "run", app, *arguments], cwd=test.folder,
                                            stderr=log, stdin=subprocess.DEVNULL, env=environment)
        test.addCleanup(self.process.wait)
        test.addCleanup(self.process.kill)

    def lines(self):
        return self.log.read_text()

    def wait_for(self, condition, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            self.test.assertIsNone(self.process.poll(), self.lines())
            self.test.assertLess(time.monotonic(), end, "not in time: " + self.lines())
            time.sleep(0.02)

    def port(self):
        self.wait_for(lambda: "http: 127.0.0.1 port " in self.lines())
        return int(self.lines().split("http: 127.0.0.1 port ")[-1].split()[0])

    def open(self, path, token=None, body=None, accept=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port()}{path}", data=body)
        if token:
            request.add_header("Authorization", "Bearer " + token)
        if accept:
            request.add_header("Accept", accept)
        return urllib.request.urlopen(request, timeout=30)

    def get(self, path, token=None, body=None, accept=None):
        """Status and text."""
        try:
            with self.open(path, token, body, accept) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.test.assertEqual(self.process.wait(timeout=60), 0, self.lines())


class OperateCase(EdgewiseTest):
    def write(self, name, text):
        (self.folder / name).write_text(text)

    def append(self, rows):
        with open(self.folder / "in.jsonl", "a") as file:
            for row in rows:
                file.write(json.dumps(row) + "\n")

    def token(self, role):
        return (self.folder / "state" / f"token-{role}").read_text().strip()

    def balanced(self, rows):
        for source in rows["sources"].values():
            for row in source.values():
                self.assertEqual(row["accepted"], row["delivered"] + row["queued"]
                                 + sum(row["dropped"].values()), rows)


class HttpTest(OperateCase):
    def start(self, app=APP):
        self.write("app.yaml", app)
        self.write("in.jsonl", "")
        self.append([{"id": "p1", "t": 1700000000 + i, "temp": 60 + i} for i in range(30)])
        agent = AgentProcess(self)
        agent.port()
        return agent

    def alerts(self, agent):
        return json.loads(agent.get("/api/alerts", self.token("view"))[1])["alerts"]

    def test_only_health_answers_without_a_token_and_roles_hold(self):
        agent = self.start()
        status, text = agent.get("/healthz")
        agent.wait_for(lambda: agent.get("/healthz")[0] == 200)
        health = json.loads(agent.get("/healthz")[1])
        self.assertEqual(health["app"], "pump")
        self.assertEqual(health["sinks"]["out"]["queued"], 0)
        self.assertEqual(health["sources"]["in"]["state"], "connected")
        for path in ("/metrics", "/api/ledger", "/api/alerts", "/api/events"):
            self.assertEqual(agent.get(path)[0], 401, path)
        self.assertEqual(agent.get("/metrics", "wrong" * 10)[0], 401)
        body = b'{"command":"acknowledge","rule":"hot","key":"p1"}'
        self.assertEqual(agent.get("/api/alerts", self.token("view"), body)[0], 403)
        self.assertEqual(agent.get("/api/nothing", self.token("operate"))[0], 404)
        for role in ("view", "operate"):
            mode = os.stat(self.folder / "state" / f"token-{role}").st_mode & 0o777
            self.assertEqual(mode, 0o600)
            self.assertNotIn(self.token(role), (self.folder / "state/tokens").read_text())
        # The tokens stay over a restart.
        view = self.token("view")
        agent.stop()
        again = AgentProcess(self)
        self.assertEqual(again.get("/api/ledger", view)[0], 200)
        again.stop()

    def test_the_log_as_json(self):
        self.write("app.yaml", APP.replace(
            "  out: {", "  away: {type: mqtt, server: 'mqtt://127.0.0.1:9', topic: a, from: hot}\n  out: {"))
        self.write("in.jsonl", "")
        agent = AgentProcess(self, "app.yaml", arguments=["--log", "json"])
        agent.wait_for(lambda: '"disconnected' in agent.lines())
        agent.stop()
        lines = [json.loads(line) for line in agent.lines().splitlines()]
        for line in lines:
            self.assertLess(abs(datetime.fromisoformat(line["time"]).timestamp() - time.time()), 60)
        by_part = {(line["part"], line.get("name")): line for line in lines}
        self.assertEqual(by_part[("source", "in")]["message"], "connected: in.jsonl")
        self.assertEqual(by_part[("source", "in")]["level"], "info")
        self.assertEqual(by_part[("sink", "away")]["level"], "warning")
        self.assertIn("port", by_part[("http", None)]["message"])

    def test_a_sink_that_is_down_shows(self):
        self.write("in.jsonl", "")
        agent = self.start(APP.replace("type: file, path: out.jsonl",
                                       "type: mqtt, server: 'mqtt://127.0.0.1:9', topic: a, qos: 1"))
        agent.wait_for(lambda: json.loads(agent.get("/healthz")[1])["sinks"]["out"]["queued"] > 0)
        status, text = agent.get("/healthz")
        self.assertEqual(status, 503)
        self.assertEqual(json.loads(text)["status"], "impaired")
        agent.stop()

    def test_alerts_are_listed_acknowledged_and_silenced_and_a_replay_sees_it(self):
        agent = self.start()
        agent.wait_for(lambda: len(self.alerts(agent)) == 1)
        alert = self.alerts(agent)[0]
        self.assertEqual((alert["rule"], alert["key"], alert["acknowledged"]), ("hot", "p1", False))
        operate = self.token("operate")

        def say(**words):
            return agent.get("/api/alerts", operate, json.dumps(words).encode())[0]
        self.assertEqual(say(command="acknowledge", rule="hot", key="p2"), 409)
        self.assertEqual(say(command="acknowledge", rule="cold", key="p1"), 404)
        self.assertEqual(say(command="shout", rule="hot", key="p1"), 400)
        self.assertEqual(say(command="silence", rule="hot", key="p1"), 400)
        self.assertEqual(say(command="acknowledge", rule="hot", key="p1"), 200)
        self.assertTrue(self.alerts(agent)[0]["acknowledged"])
        self.assertEqual(say(command="silence", rule="hot", key="p1", seconds=60), 200)
        self.assertTrue(self.alerts(agent)[0]["silenced"])
        self.assertIn('"state":"acknowledged"', (self.folder / "out.jsonl").read_text())
        # What was said is in the journal: a crash does not forget it.
        agent.process.kill()
        agent.process.wait()
        again = AgentProcess(self)
        again.port()
        self.assertTrue(self.alerts(again)[0]["acknowledged"])
        self.assertTrue(self.alerts(again)[0]["silenced"])
        rows = json.loads(again.get("/api/ledger", operate)[1])
        self.assertEqual(rows["sources"]["(http)"][""]["delivered"], 2)
        self.balanced(rows)
        again.stop()

    def test_events_of_alerts_come_as_they_happen(self):
        agent = self.start()
        with agent.open("/api/events", self.token("view")) as events:
            self.assertIn("text/event-stream", events.headers["Content-Type"])
            self.append([{"id": "p7", "t": 1700000100, "temp": 99}])
            while True:
                line = events.readline().decode()
                self.assertNotEqual(line, "")
                if line.startswith("data: ") and '"p7"' in line:
                    break
        self.assertEqual(json.loads(line[6:])["state"], "raised")
        agent.stop()

    def test_metrics_agree_with_the_ledger_in_both_formats(self):
        agent = self.start(APP.replace("sinks:", DRIFT + "sinks:"))
        view = self.token("view")
        agent.wait_for(lambda: 'edgewise_messages_in_total{source="in"} 30'
                       in agent.get("/metrics", view)[1])
        text = agent.get("/metrics", view)[1]
        rows = json.loads(agent.get("/api/ledger", view)[1])
        self.balanced(rows)
        delivered = sum(r["delivered"] for r in rows["sources"]["in"].values())
        self.assertIn(f'edgewise_messages_delivered_total{{source="in"}} {delivered}', text)
        for name in ("edgewise_queue_outputs", "edgewise_queue_age_seconds",
                     'edgewise_latency_seconds_bucket{stage="processed"',
                     'edgewise_latency_seconds_bucket{stage="delivered",sink="out"',
                     "edgewise_journal_bytes", "process_resident_memory_bytes",
                     'edgewise_drift{in="moved",statistic="page_hinkley(temp, 1)"}',
                     'edgewise_drift_changes_total{in="moved",statistic="adwin(temp, 0.3)"} 0'):
            self.assertIn(name, text)
        resident = [l for l in text.splitlines() if l.startswith("process_resident")][0]
        self.assertGreater(float(resident.split()[1]), 1e6)
        open_metrics = agent.get("/metrics", view, accept="application/openmetrics-text")[1]
        self.assertTrue(open_metrics.endswith("# EOF\n"))
        tool = promtool()
        agent.stop()
        if tool is None:
            self.skipTest("promtool (Debian's package prometheus) cannot be had here")
        done = subprocess.run([tool, "check", "metrics"], input=text, text=True,
                              capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_too_many_requests_are_refused(self):
        agent = self.start(APP.replace("port: 0", "port: 0, rate: 1"))
        codes = [agent.get("/healthz")[0] for _ in range(8)]
        self.assertIn(429, codes)
        agent.stop()

    def test_an_open_address_needs_tls_and_tokens_need_a_folder(self):
        self.write("in.jsonl", "")
        self.write("app.yaml", APP.replace("port: 0", "port: 0, host: 0.0.0.0"))
        self.assertIn("tls", self.run_edgewise("check", "app.yaml", expect=3).stderr)
        self.assertIn("tls", self.run_edgewise("run", "app.yaml", expect=3).stderr)
        self.write("app.yaml", APP.replace("state: state", ""))
        self.assertIn("needs `state:`", self.run_edgewise("check", "app.yaml", expect=3).stderr)


class ReloadTest(OperateCase):
    """A new app file takes over while the agent runs."""

    DEAD = "type: mqtt, server: 'mqtt://127.0.0.1:9', topic: a, qos: 1"

    def start(self, app=APP, temp=60):
        self.write("app.yaml", app)
        self.write("in.jsonl", "")
        self.append([{"id": "p1", "t": 1700000000 + i, "temp": temp} for i in range(5)])
        agent = AgentProcess(self)
        agent.wait_for(lambda: self.accepted(agent) == 5)
        return agent

    def ledger(self, agent):
        return json.loads(agent.get("/api/ledger", self.token("view"))[1])

    def accepted(self, agent):
        try:
            rows = self.ledger(agent)["sources"].get("in", {})
        except OSError:  # between the old server and the new one
            return -1
        return sum(row["accepted"] for row in rows.values())

    def replace(self, app):
        """As an editor does it."""
        self.write("app.new", app)
        os.replace(self.folder / "app.new", self.folder / "app.yaml")

    def wait_for_reload(self, agent, count=1):
        agent.wait_for(lambda: agent.lines().count("reload: app.yaml\n") == count
                       and agent.lines().count("http: 127.0.0.1 port ") == count + 1)

    def test_windows_and_alerts_survive_a_changed_file(self):
        agent = self.start(temp=90)
        changed = APP.replace("sinks:", "  cold: {from: in, when: temp < 0}\nsinks:")
        self.replace(changed.replace("[ten, hot]", "[ten, hot, cold]"))
        self.wait_for_reload(agent)
        alerts = json.loads(agent.get("/api/alerts", self.token("view"))[1])["alerts"]
        self.assertEqual([(a["rule"], a["key"]) for a in alerts], [("hot", "p1")])
        self.append([{"id": "p1", "t": 1700000005, "temp": 90},
                     {"id": "p1", "t": 1700000006, "temp": -5},
                     {"id": "p1", "t": 1700000030, "temp": 60}])
        out = self.folder / "out.jsonl"
        agent.wait_for(lambda: '"mean"' in out.read_text() and "cold" in out.read_text())
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        # The window began before the change and ended behind it.
        self.assertEqual(next(r["n"] for r in rows if "mean" in r), 7)
        self.assertEqual([r["state"] for r in rows if r.get("rule") == "hot"],
                         ["raised", "cleared"])
        self.balanced(self.ledger(agent))
        agent.stop()

    def test_a_bad_file_changes_nothing_and_says_why(self):
        agent = self.start()
        for bad, why in ((APP.replace("temp > 80", "temp >"), "expected a value"),
                         (APP.replace("from: in\n", "from: inn\n"), "did you mean in?"),
                         (APP.replace("state: state", "state: other"), "needs a restart")):
            self.replace(bad)
            agent.process.send_signal(signal.SIGHUP)
            agent.wait_for(lambda: f"reload: nothing is changed: " in agent.lines()
                           and why in agent.lines())
        self.append([{"id": "p1", "t": 1700000100, "temp": 99}])
        agent.wait_for(lambda: self.accepted(agent) == 6)
        self.assertEqual(agent.lines().count("http: 127.0.0.1 port "), 1)
        rows = self.ledger(agent)
        self.balanced(rows)
        agent.stop()

    def test_sighup_reloads_queues_survive_and_what_goes_is_counted(self):
        two = APP.replace("  out:", f"  up: {{{self.DEAD}, from: all}}\n  gone: {{{self.DEAD}, "
                          "from: ten}\n  out:").replace("rules:", "  all: {from: in}\nrules:")
        agent = self.start(two)
        self.append([{"id": "p1", "t": 1700000100, "temp": 60}])

        def queued(name):
            return json.loads(agent.get("/healthz")[1])["sinks"][name]["queued"]
        agent.wait_for(lambda: queued("up") == 6 and queued("gone") == 1)
        # One sink goes, and the stream whose windows hold records.
        lines = [l for l in two.splitlines() if "  gone:" not in l]
        one = "\n".join(lines).replace("size: 10s", "size: 20s") + "\n"
        self.replace(one)
        agent.process.send_signal(signal.SIGHUP)
        self.wait_for_reload(agent)
        self.assertEqual(queued("up"), 6)
        self.assertNotIn("gone", json.loads(agent.get("/healthz")[1])["sinks"])
        rows = self.ledger(agent)
        self.balanced(rows)
        self.assertEqual(rows["sinks"]["gone"]["dropped"], {"reconfigured": 1})
        self.assertEqual(rows["sinks"]["gone"]["queued"], 0)
        self.assertEqual(rows["sources"]["in"]["p1"]["accepted"], 6)
        self.assertEqual(list((self.folder / "state/queue").glob("gone*")), [])
        agent.stop()
        after = json.loads(self.run_edgewise("ledger", "app.yaml", "--json").stdout)
        self.balanced(after)
        self.assertEqual(after["sinks"]["up"]["queued"], 6)

    def test_a_file_that_fails_only_when_it_starts_gives_way_to_the_old_one(self):
        agent = self.start(temp=90)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            self.replace(APP.replace("port: 0", f"port: {taken.getsockname()[1]}"))
            agent.wait_for(lambda: "reload: the old file goes on: " in agent.lines()
                           and agent.lines().count("http: 127.0.0.1 port ") == 2)
        alerts = json.loads(agent.get("/api/alerts", self.token("view"))[1])["alerts"]
        self.assertEqual([(a["rule"], a["key"]) for a in alerts], [("hot", "p1")])
        self.append([{"id": "p1", "t": 1700000020, "temp": 60}])
        agent.wait_for(lambda: '"n":5' in (self.folder / "out.jsonl").read_text())
        rows = self.ledger(agent)
        self.balanced(rows)
        self.assertEqual(rows["sources"]["in"]["p1"]["accepted"], 6)
        agent.stop()

    def test_records_of_a_window_that_goes_are_counted(self):
        agent = self.start()
        self.replace(APP.replace("size: 10s", "size: 20s"))
        self.wait_for_reload(agent)
        rows = self.ledger(agent)
        self.balanced(rows)
        self.assertEqual(rows["sources"]["in"]["p1"]["dropped"], {"reconfigured": 5})
        agent.stop()


SECRET = "patient-4711-secret"


class StorageTest(OperateCase):
    """What stays on the disk, encrypted, and its end."""

    APP = """
app: ward
state: state
%s
sources:
  in: {type: file, path: in.jsonl, key: id, follow: true}
streams:
  all: {from: in}
  pairs: {from: in, window: {type: count, count: 100}, select: {n: count(), last: last(note)}}
sinks:
  up: {type: mqtt, server: "mqtt://127.0.0.1:9", topic: a, qos: 1, from: [all, pairs],
       queue: {memory: 4096}}
"""

    def run_until_stored(self, words):
        self.write("app.yaml", self.APP % words)
        self.write("in.jsonl", "")
        self.append([{"id": "p1", "note": f"{SECRET}-{i}"} for i in range(50)])
        agent = AgentProcess(self)

        def accepted():
            done = subprocess.run(["edgewise", "ledger", "app.yaml", "--json"], cwd=self.folder,
                                  capture_output=True, text=True, check=False)
            return done.returncode == 0 and \
                json.loads(done.stdout)["sources"].get("in", {}).get("p1", {}).get("accepted") == 50
        # The ledger of an earlier run says the same before this one listens to signals.
        agent.wait_for(lambda: "in: connected" in agent.lines() and accepted())
        return agent

    def files_with_secret(self):
        files = [p for p in (self.folder / "state").rglob("*") if p.is_file()]
        self.assertGreater(len(files), 4)
        return sorted(p.name for p in files if SECRET.encode() in p.read_bytes())

    def key(self, name, byte):
        (self.folder / name).write_bytes(bytes([byte]) * 32)
        (self.folder / name).chmod(0o600)

    def test_no_payload_is_found_in_an_encrypted_folder(self):
        self.run_until_stored("").stop()
        self.assertNotEqual(self.files_with_secret(), [])  # so the search can find it
        ledger = self.folder / "state/ledger"
        self.assertIn(b"in\0p1\0", ledger.read_bytes())
        self.run_edgewise("erase", "app.yaml", "--yes")
        self.key("key", 7)
        agent = self.run_until_stored("encryption: {key_file: key}")
        self.assertEqual(self.files_with_secret(), [])  # the journal
        agent.stop()
        self.assertEqual(self.files_with_secret(), [])  # queue and snapshot too
        self.assertTrue((self.folder / "state/snapshot").exists())
        self.assertNotEqual(list((self.folder / "state/queue").glob("*/*.log")), [])
        # It goes on with its key, and not with another one or none.
        agent = self.run_until_stored("encryption: {key_file: key}")
        agent.stop()
        rows = self.run_json("ledger", "app.yaml")
        self.assertEqual(rows["sinks"]["up"]["queued"], 50)
        self.assertEqual(list(rows["sources"]["in"]), ["p1"])
        for name in (b"in\0p1\0", b"up\0"):
            self.assertNotIn(name, ledger.read_bytes())
        self.key("other", 8)
        self.write("app.yaml", self.APP % "encryption: {key_file: other}")
        self.run_edgewise("run", "app.yaml", expect=2)
        self.assertIn("is another one", self.run_edgewise("ledger", "app.yaml", expect=2).stderr)
        self.write("app.yaml", self.APP % "")
        self.run_edgewise("run", "app.yaml", expect=2)
        self.write("app.yaml", self.APP % "encryption: {key_file: nosuch}")
        self.assertIn("key_file", self.run_edgewise("run", "app.yaml", expect=3).stderr)

    def test_erase_deletes_what_the_agent_wrote_and_nothing_else(self):
        agent = self.run_until_stored("http: {port: 0}")
        done = self.run_edgewise("erase", "app.yaml", "--yes", expect=2)
        self.assertIn("an agent is running", done.stderr)
        self.assertTrue((self.folder / "state/ledger").exists())
        agent.stop()
        (self.folder / "state/recording").mkdir()
        recorded = next((self.folder / "state/journal").glob("*.log"))
        shutil.copy(recorded, self.folder / "state/recording")
        mine = self.folder / "state/notes.txt"
        mine.write_text("mine")
        listed = self.run_edgewise("erase", "app.yaml", expect=2)
        self.assertIn("state/ledger", listed.stdout)
        self.assertIn("nothing is erased without --yes", listed.stdout + listed.stderr)
        self.assertTrue((self.folder / "state/ledger").exists())
        erased = self.run_json("erase", "app.yaml", "--yes")
        self.assertTrue(erased["erased"])
        self.assertGreater(erased["bytes"], 1000)
        left = [p.name for p in (self.folder / "state").rglob("*")]
        self.assertEqual(left, ["notes.txt"])
        mine.unlink()
        self.run_edgewise("erase", "app.yaml", "--yes")
        self.assertFalse((self.folder / "state").exists())
        self.run_edgewise("erase", "app.yaml", "--yes")


@unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
class UnitTest(OperateCase):
    def test_the_unit_is_right(self):
        unit = Path(__file__).resolve().parents[2] / "share/systemd/edgewise@.service.in"
        copy = self.folder / "edgewise@pump.service"
        copy.write_text(unit.read_text().replace("@CMAKE_INSTALL_PREFIX@/bin/edgewise",
                                                shutil.which("edgewise")))
        done = subprocess.run(["systemd-analyze", "verify", "--recursive-errors=no", str(copy)],
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
