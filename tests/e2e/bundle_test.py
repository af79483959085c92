#!/usr/bin/env python3
"""Signed bundles: made, verified, applied, tried, given up; pulled over HTTP and MQTT."""

import hashlib
import http.server
import json
import random
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
import unittest

import mqtt
from edgewise import ROOT, make_certificates, rows
from operate_test import AgentProcess, OperateCase

# Version V of the app marks its outputs with V.
APP = """
app: pump
state: state
HEALTH
sources:
  in: {type: file, path: FOLDER/in.jsonl, key: id, follow: true SOURCE}
streams:
  marked:
    from: in
    set: {v: VERSION}
sinks:
  out: {type: file, path: FOLDER/out.jsonl, from: marked}
"""


class BundleCase(OperateCase):
    def setUp(self):
        super().setUp()
        self.make_key("release")
        self.run_edgewise("bundle", "init", "dev", "--trusted-key", "release.pub.pem",
                          "--target", "gateway")
        self.write("in.jsonl", "")

    def make_key(self, name):
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", f"{name}.pem"],
                       cwd=self.folder, check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", f"{name}.pem", "-pubout", "-out",
                        f"{name}.pub.pem"], cwd=self.folder, check=True, capture_output=True)

    def bundle(self, version, *options, key="release", health="health: {window: 300ms}", source="",
               text=""):
        """The path of a bundle of version `version`."""
        folder = self.folder / f"src-{version}"
        folder.mkdir(exist_ok=True)
        app = APP.replace("VERSION", str(version)).replace("HEALTH", health)
        app = app.replace("SOURCE", source).replace("FOLDER", str(self.folder))
        (folder / "app.yaml").write_text(app + text)
        name = f"pump-{version}.ewb"
        self.run_edgewise("bundle", "create", f"src-{version}/app.yaml", "--version", version,
                          "--key", f"{key}.pem", "-o", name, *options)
        return name

    def apply(self, name, expect=0):
        return self.run_edgewise("bundle", "apply", name, "--to", "dev", expect=expect)

    def status(self):
        return self.run_json("bundle", "status", "dev")

    def start(self, *, wait=True):
        agent = AgentProcess(self, "dev")
        if wait:
            agent.wait_for(lambda: "source in: connected" in agent.lines())
        return agent

    def outputs(self):
        path = self.folder / "out.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def wait_version(self, agent, version, trial=False):
        """Until the version runs, on trial or not."""
        def is_there():
            started = re.findall(r"bundle: version (\d+) of pump", agent.lines())
            return (started and int(started[-1]) == version
                    and self.status()["active"] == version and self.status()["trial"] == trial)
        agent.wait_for(is_there)


class FormatTest(BundleCase):
    def test_says_what_it_is(self):
        name = self.bundle(7, "--target", "gateway", "--valid-days", "2")
        shown = self.run_json("bundle", "inspect", name)
        self.assertEqual([shown["name"], shown["version"], shown["target"], shown["app"]],
                         ["pump", 7, "gateway", "app.yaml"])
        self.assertEqual(shown["expires"] - shown["created"], 2 * 86400)
        text = (self.folder / "src-7/app.yaml").read_bytes()
        self.assertEqual(shown["files"], [{"path": "app.yaml", "bytes": len(text),
                                           "sha256": hashlib.sha256(text).hexdigest()}])
        self.assertIn("pump version 7", self.run_edgewise("bundle", "inspect", name).stdout)
        self.run_edgewise("bundle", "verify", name, "--trusted-key", "release.pub.pem")

    def test_names_what_is_wrong(self):
        self.make_key("other")
        name = self.bundle(7)
        said = self.run_edgewise("bundle", "verify", name, "--trusted-key", "other.pub.pem", expect=3)
        self.assertIn("which is not a trusted one", said.stderr)
        bytes_ = bytearray((self.folder / name).read_bytes())
        bytes_[-1] ^= 1
        (self.folder / name).write_bytes(bytes_)
        said = self.run_edgewise("bundle", "verify", name, "--trusted-key", "release.pub.pem", expect=3)
        self.assertIn("the content of 'app.yaml' is not what was signed", said.stderr)

    def test_an_app_with_faults_makes_no_bundle(self):
        self.write("bad.yaml", APP.replace("VERSION", "1").replace("HEALTH", "helth: 1")
                   .replace("SOURCE", ""))
        said = self.run_edgewise("bundle", "create", "bad.yaml", "--version", 1, "--key",
                                 "release.pem", "-o", "bad.ewb", expect=3)
        self.assertIn("bad.yaml:4:1: unknown word 'helth'; did you mean health?", said.stderr)
        self.assertNotIn("bad.ewb", self.names())

    def test_models_come_along(self):
        (self.folder / "src-3").mkdir()
        model = ROOT / "tests/oracle/fixtures/fit/fit_plain_k3/base_model.k3.h5"
        self.run_edgewise("convert", model, "src-3/m.ew")
        (self.folder / "src-3/labels.txt").write_text("a\nb\nc\nd\n")
        name = self.bundle(3, text="models:\n  m: {file: m.ew, labels: labels.txt}\n")
        shown = self.run_json("bundle", "inspect", name)
        self.assertEqual([f["path"] for f in shown["files"]], ["app.yaml", "m.ew", "labels.txt"])


class ApplyTest(BundleCase):
    def refused(self, name, words):
        before = self.status()
        self.assertIn(words, self.apply(name, expect=3).stderr)
        self.assertEqual(self.status(), before)

    def test_refuses_what_it_should_not_take(self):
        self.apply(self.bundle(5))
        self.refused(self.bundle(5), "version 5 is not above 5")
        self.refused(self.bundle(4), "version 4 is not above 5")
        self.refused(self.bundle(6, "--target", "camera"), "made for the target 'camera'")
        self.make_key("other")
        self.refused(self.bundle(6, key="other"), "is not a trusted one")
        tampered = self.bundle(6)
        bytes_ = bytearray((self.folder / tampered).read_bytes())
        bytes_[-20] ^= 1
        (self.folder / tampered).write_bytes(bytes_)
        self.refused(tampered, "is not what was signed")
        bytes_[40] ^= 1
        (self.folder / tampered).write_bytes(bytes_)
        self.refused(tampered, tampered)
        late = self.bundle(6, "--valid-days", str(1.5 / 86400))
        time.sleep(1.1)
        self.refused(late, "expired")

    def test_runs_and_a_new_version_takes_over(self):
        self.apply(self.bundle(1))
        agent = self.start()
        self.append({"id": "a", "n": i} for i in range(50))
        agent.wait_for(lambda: len(self.outputs()) == 50)
        agent.wait_for(lambda: not self.status()["trial"])
        self.apply(self.bundle(2))
        self.append({"id": "a", "n": i} for i in range(50, 100))
        self.wait_version(agent, 2)
        self.append({"id": "a", "n": i} for i in range(100, 150))
        agent.wait_for(lambda: len(self.outputs()) == 150)
        self.assertEqual(sorted(row["n"] for row in self.outputs()), list(range(150)))
        self.assertEqual(self.outputs()[-1]["v"], 2)
        self.assertEqual(self.status()["earlier"], 1)
        # An operator goes back.
        self.run_edgewise("bundle", "rollback", "dev")
        self.wait_version(agent, 1)
        self.append([{"id": "a", "n": 150}])
        agent.wait_for(lambda: len(self.outputs()) == 151)
        self.assertEqual(self.outputs()[-1]["v"], 1)
        agent.stop()
        self.assertIn("in", self.run_json("ledger", "dev")["sources"])

    def test_killed_in_the_midst_of_an_apply(self):
        rng = random.Random(1)
        (self.folder / "src-1").mkdir()
        self.apply(self.bundle(1))
        sums = {}
        for version in range(2, 14):
            folder = self.folder / f"src-{version}"
            folder.mkdir()
            data = rng.randbytes(4 << 20)
            (folder / "data.bin").write_bytes(data)
            sums[version] = hashlib.sha256(data).hexdigest()
            name = self.bundle(version, "--include", "data.bin")
            process = subprocess.Popen(["edgewise", "bundle", "apply", name, "--to", "dev"],
                                       cwd=self.folder, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            time.sleep(rng.uniform(0.001, 0.06))
            process.kill()
            process.wait()
            active = self.status()["active"]
            self.assertIn(active, range(1, version + 1))
            slot = self.folder / f"dev/slots/{active}"
            self.assertIn(f"v: {active}", (slot / "app.yaml").read_text())
            if active > 1:
                found = hashlib.sha256((slot / "data.bin").read_bytes()).hexdigest()
                self.assertEqual(found, sums[active])
        self.bundle(14)
        self.apply("pump-14.ewb")
        self.assertEqual(self.status()["active"], 14)
        self.assertLessEqual(len(list((self.folder / "dev/slots").iterdir())), 2)


class TrialTest(BundleCase):
    def first(self):
        self.apply(self.bundle(1))
        agent = self.start()
        agent.wait_for(lambda: not self.status()["trial"])
        return agent

    def left(self, agent, name, why):
        """The version is given up, and version 1 goes on."""
        self.apply(name)
        agent.wait_for(lambda: "given up" in self.status()["note"])
        self.assertIn(why, self.status()["note"])
        self.wait_version(agent, 1)
        self.append([{"id": "a", "n": 1}])
        agent.wait_for(lambda: len(self.outputs()) == 1)
        self.assertEqual(self.outputs()[0]["v"], 1)
        agent.stop()
        self.assertIn("version 2 is not above 2", self.apply(name, expect=3).stderr)

    def test_one_that_does_not_start_is_left_at_once(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            health = f"health: {{window: 10m}}\nhttp: {{port: {taken.getsockname()[1]}}}"
            self.left(self.first(), self.bundle(2, health=health), "ddress already in use")

    def test_one_whose_sink_does_not_connect_is_left(self):
        name = self.bundle(2, health="health: {window: 300ms, connected: true}",
                           text="  bad: {type: sqlite, path: /no/folder/x.db, from: in}\n")
        self.left(self.first(), name, "sink bad is not connected at the end of the health window")

    def test_one_that_crashes_in_its_window_is_left(self):
        agent = self.first()
        self.apply(self.bundle(2, health="health: {window: 10m, starts: 2}"))
        self.wait_version(agent, 2, trial=True)
        for _ in range(2):
            agent.process.kill()
            agent.process.wait()
            agent = self.start()
        self.assertEqual(self.status()["active"], 1)
        self.assertIn("version 2 was given up: it ended 2 times before its health window was over",
                      agent.lines())
        agent.stop()

    def test_a_stop_by_hand_is_no_crash(self):
        agent = self.first()
        self.apply(self.bundle(2, health="health: {window: 10m, starts: 2}"))
        self.wait_version(agent, 2, trial=True)
        for _ in range(3):
            agent.stop()
            agent = self.start()
        self.assertEqual([self.status()["active"], self.status()["trial"]], [2, True])
        agent.stop()

    def test_one_in_bad_health_is_left(self):
        agent = self.first()
        self.apply(self.bundle(2, source=", max_payload: 10",
                               health="health: {window: 10m, max_faulty: 0.1}"))
        self.wait_version(agent, 2, trial=True)
        self.append({"id": "a", "n": i} for i in range(200))
        self.wait_version(agent, 1)
        self.assertRegex(self.status()["note"], r"200 of 200 inputs are faulty")
        self.append([{"id": "a", "n": 1}])
        agent.wait_for(lambda: len(self.outputs()) == 1)
        agent.stop()

    def test_a_second_agent_does_not_count_as_a_failed_start(self):
        agent = self.first()
        self.apply(self.bundle(2, health="health: {window: 10m, starts: 1}"))
        self.wait_version(agent, 2, trial=True)
        for _ in range(2):
            said = self.run_edgewise("run", "dev", expect=4)
            self.assertIn("in use", said.stderr)
        self.assertEqual(self.status()["active"], 2)
        agent.stop()


class BundleServer:
    """Serves one file with an ETag; counts answers by status."""

    def __init__(self, test, tls=None):
        self.content, self.counts, self.token = None, {}, None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body, status = outer.content or b"", 200 if outer.content else 404
                etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
                if self.headers.get("If-None-Match") == etag:
                    body, status = b"", 304
                outer.token = self.headers.get("Authorization")
                self.send_response(status)
                self.send_header("ETag", etag)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                outer.counts[status] = outer.counts.get(status, 0) + 1

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        test.addCleanup(self.server.server_close)
        test.addCleanup(self.server.shutdown)


class PullTest(BundleCase):
    HTTP = "health: {window: 300ms}\nhttp: {port: 0}"

    def pull(self, text):
        with open(self.folder / "dev/device.yaml", "a") as device:
            device.write(text)

    def bytes_of(self, version, *options, **more):
        name = self.bundle(version, *options, **more)
        return (self.folder / name).read_bytes()

    def bundle_state(self, agent):
        token = (self.folder / "dev/data/state/token-view").read_text().strip()
        return json.loads(agent.get("/api/bundle", token)[1])

    def test_over_http(self):
        server = BundleServer(self)
        self.write("secret", "the-token\n")
        self.pull(f"pull:\n  http: {{url: 'http://127.0.0.1:{server.port}/latest', every: 100ms, "
                  "token_file: secret}\n")
        agent = self.start(wait=False)
        agent.wait_for(lambda: server.counts.get(404, 0) >= 2)
        self.assertIn("waiting for the first", agent.lines())
        server.content = self.bytes_of(1, health=self.HTTP)
        self.wait_version(agent, 1)
        self.assertEqual(server.token, "Bearer the-token")
        agent.wait_for(lambda: server.counts.get(304, 0) >= 2)
        bad = bytearray(self.bytes_of(2, health=self.HTTP))
        bad[-5] ^= 1
        server.content = bytes(bad)
        agent.wait_for(lambda: "is not what was signed" in agent.lines())
        self.assertEqual(self.status()["active"], 1)
        agent.wait_for(lambda: self.bundle_state(agent)["pulled"]["refused"] == 1)
        token = (self.folder / "dev/data/state/token-view").read_text().strip()
        text = agent.get("/metrics", token)[1]
        self.assertIn('edgewise_bundles_pulled_total{result="refused"} 1', text)
        self.assertIn("edgewise_bundle_version 1", text)
        server.content = self.bytes_of(3, health=self.HTTP)
        self.wait_version(agent, 3)
        self.assertEqual(self.bundle_state(agent)["active"], 3)
        agent.stop()

    def test_over_https_only_from_whom_the_ca_vouches_for(self):
        make_certificates(self.folder)
        (self.folder / "other").mkdir()
        make_certificates(self.folder / "other")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("server.pem"), self.path("server.key"))
        server = BundleServer(self, context)
        server.content = self.bytes_of(1, health=self.HTTP)
        device = self.folder / "dev/device.yaml"
        words = device.read_text()
        url = f"url: 'https://localhost:{server.port}/latest', every: 100ms"

        def trust(ca):
            device.write_text(f"{words}pull:\n  http: {{{url}, tls: {{ca: {self.path(ca)}}}}}\n")
        trust("none.pem")
        self.assertIn("none.pem: cannot use the certificates",
                      self.run_edgewise("run", "dev", expect=3).stderr)
        trust("other/ca.pem")
        agent = self.start(wait=False)
        agent.wait_for(lambda: "the other side's certificate is refused: " in agent.lines())
        agent.stop()
        self.assertEqual(server.counts, {}, agent.lines())
        trust("ca.pem")
        agent = self.start(wait=False)
        self.wait_version(agent, 1)
        agent.stop()

    def test_over_mqtt(self):
        broker = mqtt.Broker(self.folder, "broker")
        self.addCleanup(broker.stop)
        self.pull(f"pull:\n  mqtt: {{server: 'mqtt://127.0.0.1:{broker.port}', topic: fleet/app}}\n")
        self.retain(broker, b"no bundle")
        agent = self.start(wait=False)
        agent.wait_for(lambda: "found another file" in agent.lines())
        self.retain(broker, self.bytes_of(4))
        self.wait_version(agent, 4)
        self.retain(broker, self.bytes_of(3))
        agent.wait_for(lambda: "version 3 is not above 4" in agent.lines())
        self.assertEqual(self.status()["active"], 4)
        agent.stop()
        # The retained message comes again at the next start, and may be the version that runs.
        self.retain(broker, self.bytes_of(5))
        agent = self.start(wait=False)
        self.wait_version(agent, 5)
        agent.stop()

    def retain(self, broker, content):
        sock, packets, _ = mqtt.connect(broker.port, "publisher", keep_session=False)
        with sock:
            body = mqtt.text("fleet/app") + struct.pack(">H", 1) + b"\0" + content
            sock.sendall(mqtt.packet(mqtt.PUBLISH, body, flags=3))  # QoS 1, retained
            sock.settimeout(10)
            found = []
            while not any(kind == mqtt.PUBACK for kind, _, _ in found):
                found += packets.feed(sock.recv(65536))


FIXTURE = ROOT / "tests/oracle/fixtures/fit/fit_plain_k3"
SHADOW = """
app: kinds
state: state
http: {port: 0}
sources:
  in: {type: file, path: in.jsonl, key: id, follow: true}
models:
  kind: {file: old.ew, shadow: {file: NEW, samples: 200, slowdown: 0}}
streams:
  kinds: {from: in, model: {use: kind, input: [x0, x1, x2, x3, x4, x5, x6, x7], output: k, result: argmax}}
sinks:
  out: {type: file, path: out.jsonl, from: kinds}
"""


class ShadowTest(OperateCase):
    def setUp(self):
        super().setUp()
        base = FIXTURE / "base_model.k3.h5"
        self.run_edgewise("convert", base, "old.ew")
        self.run_edgewise("convert", base, "near.tflite")
        self.run_edgewise("convert", FIXTURE / "optimized_model.k3.h5", "other.ew")
        self.write("in.jsonl", "")
        self.rows = [{"id": "a"} | {f"x{i}": round(x, 3) for i, x in enumerate(features)}
                     for features, _ in rows(400)]

    def start(self, new):
        self.write("app.yaml", SHADOW.replace("NEW", new))
        agent = AgentProcess(self)
        agent.wait_for(lambda: "source in: connected" in agent.lines())
        return agent

    def count(self):
        path = self.folder / "out.jsonl"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def model(self, agent):
        return json.loads(agent.get("/api/models", self.token("view"))[1])["models"][0]

    def test_a_model_that_agrees_takes_over_also_behind_a_crash(self):
        agent = self.start("near.tflite")
        self.append(self.rows[:150])
        agent.wait_for(lambda: self.count() == 150)
        before = self.model(agent)
        self.assertEqual([before["shadow"]["state"], before["shadow"]["samples"]], ["running", 150])
        agent.process.kill()
        agent.process.wait()
        agent = self.start("near.tflite")
        self.assertEqual(self.model(agent)["shadow"]["samples"], 150)
        self.append(self.rows[150:])
        agent.wait_for(lambda: self.model(agent)["shadow"]["state"] == "switched")
        after = self.model(agent)
        self.assertEqual(after["version"], before["shadow"]["version"])
        self.assertNotEqual(after["version"], before["version"])
        self.assertGreaterEqual(after["shadow"]["agreed"], 196)
        self.assertIn("model kind: the new one takes over: it agrees in", agent.lines())
        metrics = agent.get("/metrics", self.token("view"))[1]
        self.assertIn('edgewise_shadow_state{model="kind",state="switched"} 1', metrics)
        agent.wait_for(lambda: self.count() == 400)
        agent.process.kill()
        agent.process.wait()
        agent = self.start("near.tflite")
        self.assertEqual(self.model(agent)["shadow"]["state"], "switched")
        self.assertNotIn("takes over", agent.lines())
        agent.stop()
        self.balanced(self.run_json("ledger", "app.yaml"))
        self.assertEqual(self.count(), 400)

    def test_one_that_disagrees_stays_away(self):
        agent = self.start("other.ew")
        self.append(self.rows[:250])
        agent.wait_for(lambda: self.model(agent)["shadow"]["state"] == "kept")
        shadow = self.model(agent)["shadow"]
        self.assertRegex(shadow["reason"], r"it agrees in \d+ of 200 runs, expected a share of 0.98")
        self.assertNotEqual(self.model(agent)["version"], shadow["version"])
        self.assertIn("model kind: the old one stays", agent.lines())
        agent.stop()

    def test_words_are_checked(self):
        self.write("app.yaml", SHADOW.replace("NEW", "no.ew").replace("samples", "sample"))
        said = self.run_edgewise("check", "app.yaml", expect=3)
        self.assertIn("unknown word 'sample'; did you mean samples?", said.stderr)


if __name__ == "__main__":
    unittest.main()
