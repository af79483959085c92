#!/usr/bin/env python3
"""The agent as a program: check, run, record, replay, ledger, and a real MQTT server."""

import json
import os
import shutil
import signal
import struct
import subprocess
import time
import unittest
from pathlib import Path

from edgewise import BrokerTest, EdgewiseTest, free_port

APP = """
app: pump
state: state
sources:
  in: {type: file, path: in.jsonl, key: id, time: t}
streams:
  ten:
    from: in
    window: {type: tumbling, size: 10s}
    select: {id: key, mean: avg(temp), n: count()}
rules:
  hot: {from: in, when: temp > 80, clear: temp < 75}
sinks:
  out: {type: stdout, from: [ten, hot]}
"""


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


class AgentTest(EdgewiseTest):
    def write(self, name, text):
        Path(self.path(name)).write_text(text)
        return name

    def write_input(self, count=40):
        rows = [{"id": f"p{i % 2}", "t": 1700000000 + i, "temp": 60 + (i * 7) % 30}
                for i in range(count)]
        self.write("in.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        return rows

    def test_check_names_every_fault_with_its_place(self):
        app = self.write("app.yaml", APP.replace("from: in\n", "from: inn\n", 1)
                         .replace("clear:", "claer:"))
        done = self.run_edgewise("check", app, expect=3)
        self.assertIn("app.yaml:8:11: from: there is no source or stream 'inn'; did you mean in?",
                      done.stderr)
        self.assertIn("unknown word 'claer'; did you mean clear?", done.stderr)
        faults = self.run_json("check", app, expect=3)["errors"]
        self.assertEqual(len(faults), 2)
        self.run_edgewise("run", app, expect=3)

    def test_results_ledger_and_replay(self):
        rows = self.write_input()
        app = self.write("app.yaml", APP)
        out = self.run_edgewise("run", app, "--quiet", "--record", "rec").stdout
        results = lines_of(out)
        windows = [r for r in results if "mean" in r]
        self.assertEqual(sum(r["n"] for r in windows), len(rows))
        ledger = self.run_json("ledger", app)
        for key in ("p0", "p1"):
            counts = ledger["sources"]["in"][key]
            self.assertEqual(counts["accepted"], 20)
            self.assertEqual(counts["accepted"], counts["delivered"] + sum(counts["dropped"].values()))
            self.assertEqual(counts["queued"], 0)
        sent = sum(len(line) for line in out.splitlines())
        left = sum(sink["out"]["bytes"] for sink in ledger["egress"].values())
        self.assertEqual(left, sent)
        self.assertEqual(ledger["input"]["in"]["records"], len(rows))
        # The recording gives the same events, and everything else too.
        self.run_edgewise("replay", app, "--from", "rec", "--all", "--out", "all.jsonl")
        self.assertEqual(Path(self.path("all.jsonl")).read_text(), out)
        self.run_edgewise("replay", app, "--from", "rec", "--out", "events.jsonl")
        self.assertEqual(Path(self.path("events.jsonl")).read_text(),
                         "".join(l + "\n" for l in out.splitlines() if '"rule"' in l))

    def test_goes_on_where_it_stopped(self):
        self.write_input()
        app = self.write("app.yaml", APP)
        self.run_edgewise("run", app, "--quiet")
        self.assertEqual(self.run_edgewise("run", app, "--quiet").stdout, "")
        with open(self.path("in.jsonl"), "a") as file:
            file.write('{"id":"p9","t":1700000900,"temp":99}\n')
        results = lines_of(self.run_edgewise("run", app, "--quiet").stdout)
        self.assertEqual(results[0]["key"], "p9")

    def test_dry_run_and_overrides(self):
        app = self.write("app.yaml", APP)
        plan = self.run_edgewise("run", app, "--dry-run").stdout
        self.assertIn("stream ten: window", plan)
        done = self.run_edgewise("run", app, "--dry-run", "--set", "streams.ten.window.size=soon",
                                 expect=3)
        self.assertIn("expected a duration", done.stderr)

    def test_standard_input_to_a_csv_file(self):
        app = self.write("app.yaml", """
app: lines
sources: {in: {type: stdin, format: csv, columns: [id, x]}}
streams: {big: {from: in, where: x > 1, set: {double: x * 2}}}
sinks: {out: {type: file, path: out.csv, format: csv, columns: [id, double], from: big}}
""")
        subprocess.run(["edgewise", "run", app, "--quiet"], input=b"a,1\nb,2\nc,2.5\n",
                       cwd=self.folder, check=True, timeout=60)
        self.assertEqual(Path(self.path("out.csv")).read_text(), "id,double\nb,4\nc,5\n")

    def test_frames_of_a_wfdb_record(self):
        """Two channels of 16 bits at 4 Hz; -32768 marks a missing sample."""
        Path(self.path("r.hea")).write_text("r 2 4 3 00:00:10 01/01/1970\n"
                                            "r.dat 16 10(0)/mV 16 0 0 0 0 II\n"
                                            "r.dat 16 1(5)/mmHg 16 0 0 0 0 ABP\n")
        Path(self.path("r.dat")).write_bytes(struct.pack("<6h", 15, 85, -5, -32768, 20, 95))
        app = self.write("app.yaml", """
app: bedside
sources: {in: {type: file, path: r.hea, format: csv, time: time}}
streams: {all: {from: in, set: {at: time, lead: II, pressure: "coalesce(ABP, 0)"}, keep: [at, lead, pressure]}}
sinks: {out: {type: stdout, from: all}}
""")
        rows = lines_of(self.run_edgewise("run", app, "--quiet").stdout)
        self.assertEqual(rows, [{"at": 10, "lead": 1.5, "pressure": 80},
                                {"at": 10.25, "lead": -0.5, "pressure": 0},
                                {"at": 10.5, "lead": 2, "pressure": 90}])

    def test_schema_knows_every_word_of_the_guide(self):
        schema = json.loads(self.run_edgewise("schema").stdout)
        pages = (Path(__file__).resolve().parents[2] / "docs/guide").glob("*.md")
        guide = "".join(page.read_text() for page in pages)

        def words(node):
            for name, inner in node.get("properties", {}).items():
                yield name
                yield from words(inner)
            for key in ("additionalProperties", "items"):
                if isinstance(node.get(key), dict):
                    yield from words(node[key])
            for inner in node.get("oneOf", []):
                yield from words(inner)
        missing = sorted({w for w in words(schema) if w not in guide})
        self.assertEqual(missing, [])


class OutageTest(BrokerTest):
    """The upstream server goes away, the agent is killed, both come back."""

    COUNT = 2000

    def ledger_counts(self):
        done = subprocess.run(["edgewise", "ledger", "app.yaml", "--json"], cwd=self.folder,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return {}
        return json.loads(done.stdout)["sources"].get("in", {})

    def total(self, what):
        return sum(row[what] for row in self.ledger_counts().values())

    def start(self):
        process = subprocess.Popen(["edgewise", "run", "app.yaml", "--quiet"], cwd=self.folder)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_nothing_is_lost_and_little_comes_twice(self):
        self.kill_in_an_outage("ids: true")

    def test_nothing_is_lost_where_outputs_share_messages(self):
        lines = self.kill_in_an_outage("max_batch: 32, max_wait: 1ms, max_in_flight: 2, format: lines")
        first = {}
        for record in map(json.loads, lines):
            before = first.setdefault(record["id"], record["data"])
            self.assertEqual(before, record["data"])
        self.assertEqual(len(first), self.COUNT)

    def test_one_agent_takes_the_messages_of_another_apart(self):
        port = free_port()
        self.server(port)
        line = f'server: "mqtt://127.0.0.1:{port}"'
        rows = "".join(f'{{"id":"p{i % 3}","x":{i}}}\n' for i in range(self.COUNT))
        (self.folder / "in.jsonl").write_text(rows)
        (self.folder / "app.yaml").write_text(f"""
app: upper
state: upper
sources:
  in: {{type: mqtt, {line}, topics: up, qos: 1, key: key, split: true, client_id: upper, session: 1h}}
streams:
  all: {{from: in, set: {{n: data.x}}, keep: [n]}}
sinks:
  out: {{type: file, path: out.jsonl, from: all}}
""")
        upper = self.start()
        self.wait_for(lambda: (self.folder / "upper/ledger").exists())
        time.sleep(0.3)  # subscribed
        (self.folder / "lower.yaml").write_text(f"""
app: lower
state: lower
sources:
  in: {{type: file, path: in.jsonl, key: id}}
streams:
  all: {{from: in}}
sinks:
  out: {{type: mqtt, {line}, topic: up, qos: 1, max_batch: 100, from: all}}
""")
        lower = subprocess.run(["edgewise", "run", "lower.yaml", "--quiet"], cwd=self.folder,
                               check=False, timeout=60)
        self.assertEqual(lower.returncode, 0)
        out = self.folder / "out.jsonl"
        self.wait_for(lambda: out.exists() and out.read_text().count("\n") >= self.COUNT)
        upper.send_signal(signal.SIGTERM)
        self.assertEqual(upper.wait(), 0)
        numbers = [row["n"] for row in lines_of(out.read_text())]
        self.assertEqual(numbers, list(range(self.COUNT)))
        self.assertEqual(sorted(self.ledger_counts()), ["p0", "p1", "p2"])
        self.assertEqual(self.total("delivered"), self.COUNT)

    def test_messages_of_qos_0_are_stored_while_the_sink_is_away(self):
        near, far = free_port(), free_port()
        self.server(near)
        (self.folder / "app.yaml").write_text(f"""
app: outage
state: state
sources:
  in: {{type: mqtt, server: "mqtt://127.0.0.1:{near}", topics: in/#, qos: 0, key_level: 2, format: raw}}
streams:
  all: {{from: in}}
sinks:
  out: {{type: mqtt, server: "mqtt://127.0.0.1:{far}", topic: "out/{{key}}", qos: 1, retry_max: 500ms, from: all}}
""")
        agent = self.start()
        publish = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(near)]

        def probe():
            subprocess.run(publish + ["-t", "in/probe", "-m", "x"], check=True)
            return self.total("accepted") > 0
        self.wait_for(probe)
        before = self.total("accepted")
        payloads = "".join(f"{i}\n" for i in range(self.COUNT))
        subprocess.run(publish + ["-t", "in/a", "-l"], input=payloads, text=True, check=True)
        self.wait_for(lambda: self.total("accepted") - before >= self.COUNT)
        sizes = [-1]

        def is_written():
            time.sleep(0.2)
            files = (self.folder / "state/queue").rglob("*")
            sizes.append(sum(file.stat().st_size for file in files if file.is_file()))
            return sizes[-1] > 0 and sizes[-1] == sizes[-2]
        self.wait_for(is_written)
        agent.send_signal(signal.SIGKILL)
        agent.wait()
        self.server(far)
        listener = subprocess.Popen(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(far), "-q", "1",
                                     "-t", "out/a"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(listener.kill)
        time.sleep(0.3)
        agent = self.start()
        self.wait_for(lambda: self.total("delivered") > 0 and self.total("queued") == 0)
        agent.send_signal(signal.SIGTERM)
        self.assertEqual(agent.wait(), 0)
        time.sleep(0.3)
        listener.terminate()
        got = [int(line) for line in listener.communicate()[0].split()]
        self.assertEqual(sorted(set(got)), list(range(self.COUNT)))
        row = self.ledger_counts()["a"]
        self.assertEqual((row["accepted"], row["delivered"]), (self.COUNT, self.COUNT))

    def kill_in_an_outage(self, words):
        """The lines that came to the far server."""
        near, far = free_port(), free_port()
        self.server(near)
        (self.folder / "app.yaml").write_text(f"""
app: outage
state: state
sources:
  in: {{type: mqtt, server: "mqtt://127.0.0.1:{near}", topics: in/#, qos: 1, key_level: 2, format: raw}}
streams:
  all: {{from: in}}
sinks:
  out: {{type: mqtt, server: "mqtt://127.0.0.1:{far}", topic: "out/{{key}}", qos: 1, retry_max: 500ms, from: all,
         {words}}}
""")
        agent = self.start()
        publish = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(near), "-q", "1"]

        def probe():
            subprocess.run(publish + ["-t", "in/probe", "-m", "x"], check=True)
            return self.total("accepted") > 0
        self.wait_for(probe)
        before = self.total("accepted")
        payloads = "".join(f"{i}\n" for i in range(self.COUNT))
        subprocess.run(publish + ["-t", "in/a", "-l"], input=payloads, text=True, check=True)
        # All are acknowledged by the near server; the agent must have stored them all.
        self.wait_for(lambda: self.total("accepted") - before >= self.COUNT)
        self.assertGreaterEqual(self.total("queued"), self.COUNT)
        agent.send_signal(signal.SIGKILL)
        agent.wait()
        self.server(far)
        came = self.folder / "came"  # a pipe that nobody reads would fill up
        with open(came, "wb") as file:
            listener = subprocess.Popen(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(far), "-q",
                                         "1", "-t", "out/a"], stdout=file)
        self.addCleanup(listener.kill)
        time.sleep(0.3)
        agent = self.start()
        self.wait_for(lambda: self.total("accepted") > 0 and self.total("queued") == 0)
        agent.send_signal(signal.SIGTERM)
        self.assertEqual(agent.wait(), 0)
        time.sleep(0.3)
        listener.terminate()
        listener.wait()
        lines = came.read_text().splitlines()
        got = [int(line if line.isdigit() else json.loads(line)["data"]) for line in lines]
        self.assertEqual(sorted(set(got)), list(range(self.COUNT)))
        self.assertLessEqual(len(got) - self.COUNT, 64)
        row = self.ledger_counts()["a"]
        self.assertEqual((row["accepted"], row["delivered"], row["queued"]),
                         (self.COUNT, self.COUNT, 0))
        return lines


if __name__ == "__main__":
    unittest.main()
