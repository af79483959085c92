"""The pressure monitor of examples/pressure on its real trace: from files, and over a real MQTT server.
Skipped where the trace cannot be downloaded."""

import json
import shutil
import subprocess
import sys
import unittest

from edgewise import ROOT, BrokerTest, EdgewiseTest, free_port

sys.path.insert(0, str(ROOT / "examples/pressure"))
import run  # noqa: E402

DATA = ROOT / "build/data/pressure"


def setUpModule():
    try:
        run.fetch(DATA)
    except (subprocess.CalledProcessError, OSError) as error:
        raise unittest.SkipTest(f"the trace cannot be downloaded: {error}") from error


class PressureTest(EdgewiseTest):
    def test_the_whole_example(self):
        """Alert near the label, none elsewhere, float and int8, the same after a kill."""
        done = subprocess.run([sys.executable, ROOT / "examples/pressure/run.py", "--edgewise",
                               shutil.which("edgewise"), "--out", self.path("out"), "--data", DATA],
                              capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class PressureOverMqttTest(BrokerTest):
    def test_the_alert_rises_although_the_agent_is_killed_just_before(self):
        for name, source in (("train.csv", "TRAIN.csv"), ("trace.csv", "TEST.csv")):
            shutil.copy(DATA / source, self.folder / name)
        for name in ("base_model.h5", "pressure.yaml"):
            shutil.copy(ROOT / "examples/pressure" / name, self.folder / name)
        windows = "train.csv?columns=value&label=none&window=32&target=input"
        self.run_edgewise("train", "base_model.h5", "--data", windows, "--epochs", "200", "--quiet",
                          "--batch-size", "32", "-o", "autoencoder.h5")
        self.run_edgewise("optimize", "autoencoder.h5", "--data", windows, "--quiet",
                          "-o", "optimized_model.h5", "-o", "autoencoder.tflite")
        port = free_port()
        self.server(port)
        app = (self.folder / "pressure.yaml").read_text()
        app = app.replace("type: file\n    path: trace.csv", "type: mqtt\n    topics: trace\n    qos: 1\n"
                          f"    server: mqtt://127.0.0.1:{port}\n"
                          "    client_id: monitor\n    session: 1h\n"
                          "    columns: [timestamp, value, is_anomaly]")
        (self.folder / "pressure.yaml").write_text(app.replace("    speed: 0\n", ""))
        rows = (self.folder / "trace.csv").read_text().splitlines()[1 + run.SEEN:]
        first = self.start()
        self.wait_for(lambda: self.publish(port, ["-1,80,0"]) and self.accepted() > 0)
        probes = self.accepted()
        self.publish(port, rows[:4190 - run.SEEN])
        self.wait_for(lambda: self.accepted() - probes >= 4190 - run.SEEN)
        first.kill()
        first.wait()
        second = self.start()
        self.publish(port, rows[4190 - run.SEEN:])
        self.wait_for(lambda: self.accepted() - probes >= len(rows))
        second.terminate()
        self.assertEqual(second.wait(), 0)
        found = (self.folder / "events.jsonl").read_text()
        raised = [json.loads(line)["ts"] // 1_000_000 for line in found.splitlines()
                  if json.loads(line)["state"] == "raised"]
        label = run.label_of(self.folder / "trace.csv")
        self.assertNotEqual(raised, [])
        self.assertTrue(all(label[0] <= row <= label[1] + run.ALLOWED for row in raised), raised)

    def start(self):
        process = subprocess.Popen(["edgewise", "run", "pressure.yaml", "--quiet"], cwd=self.folder)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def publish(self, port, rows):
        subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", "trace",
                        "-l"], input="\n".join(rows) + "\n", text=True, check=True)
        return True

    def accepted(self):
        done = subprocess.run(["edgewise", "ledger", "pressure.yaml", "--json"], cwd=self.folder,
                              capture_output=True, text=True, check=False)
        rows = json.loads(done.stdout)["sources"].get("trace", {}) if done.returncode == 0 else {}
        return sum(row["accepted"] for row in rows.values())


if __name__ == "__main__":
    unittest.main()
