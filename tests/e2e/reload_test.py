"""Another version of the app file, under load, between real MQTT servers."""

import json
import os
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from mqtt import Broker, Publisher, Subscriber

MESSAGES = 1500
APP = """
app: reload
state: state
sources:
  in: {{type: mqtt, server: "mqtt://127.0.0.1:{near}", topics: in/#, client_id: in, session: 1h}}
streams:
  all: {{from: in, where: seq >= {least}}}
sinks:
  out: {{type: mqtt, server: "mqtt://127.0.0.1:{far}", topic: out, client_id: out, from: all}}
  bulk: {{type: mqtt, server: "mqtt://127.0.0.1:{far}", topic: bulk, client_id: bulk, max_batch: 8,
         max_wait: 5ms, from: [{of_bulk}]}}
  other: {{type: mqtt, server: "mqtt://127.0.0.1:{far}", topic: other, client_id: other,
          keep_alive: {keep_alive}s, from: all}}
"""


class ReloadTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.near, self.far = Broker(self.folder, "near"), Broker(self.folder, "far")
        self.addCleanup(self.near.stop)
        self.addCleanup(self.far.stop)
        self.numbers = {"out": [], "bulk": [], "other": []}
        self.came = []  # ids, also of what the server itself repeated
        for topic in self.numbers:
            subscriber = Subscriber(self.far.port, topic, self.take, client_id=f"to-{topic}")
            self.addCleanup(subscriber.close)
            self.assertTrue(subscriber.is_subscribed.wait(20))

    def take(self, message):
        if message.topic == "bulk":
            outputs = [(each["id"], each["data"]["seq"]) for each in json.loads(message.payload)]
        else:
            outputs = [(message.user["id"], json.loads(message.payload)["seq"])]
        for name, number in outputs:
            self.came.append(name)
            self.numbers[message.topic].append(number)

    def write(self, least=0, of_bulk="all", keep_alive=60):
        text = APP.format(near=self.near.port, far=self.far.port, least=least, of_bulk=of_bulk,
                          keep_alive=keep_alive)
        (self.folder / "app.new").write_text(text)
        os.replace(self.folder / "app.new", self.folder / "app.yaml")

    def log(self):
        return (self.folder / "log").read_text()

    def wait(self, condition):
        end = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), end, self.log())
            self.assertIsNone(self.agent.poll(), self.log())
            time.sleep(0.01)

    def reload(self, **words):
        before = self.log().count("source in: connected")
        self.write(**words)
        self.agent.send_signal(signal.SIGHUP)
        self.wait(lambda: self.log().count("source in: connected") > before)

    def test_connections_stay_and_no_message_is_lost_or_doubled(self):
        self.write()
        with open(self.folder / "log", "w") as log:
            self.agent = subprocess.Popen(["edgewise", "run", "app.yaml"], cwd=self.folder,
                                          stderr=log, stdin=subprocess.DEVNULL)
        self.addCleanup(self.agent.kill)
        self.wait(lambda: self.log().count(": connected") == 4)
        load = Publisher(self.near.port, ((f"in/k{i % 7}", f'{{"seq":{i}}}'.encode())
                                          for i in range(MESSAGES)), 1000)
        self.wait(lambda: len(self.numbers["out"]) > 200)
        self.reload(least=-1)
        self.wait(lambda: len(self.numbers["out"]) > 600)
        self.reload(least=-2, of_bulk="all, all")
        # One sink's own words change: it alone connects again.
        self.wait(lambda: len(self.numbers["out"]) > 1000)
        self.reload(least=-3, keep_alive=61)
        load.wait()
        expected = list(range(MESSAGES))
        self.wait(lambda: all(len(found) >= MESSAGES for found in self.numbers.values()))
        self.assertEqual(self.log().count(": connected: as before"), 4 + 4 + 3)
        # Also between two versions a signal is no end.
        for _ in range(40):
            self.agent.send_signal(signal.SIGHUP)
            time.sleep(0.003)
        self.wait(lambda: self.log().count("source in: connected") > 5)
        self.agent.send_signal(signal.SIGTERM)
        self.assertEqual(self.agent.wait(20), 0, self.log())
        self.assertEqual(self.near.connects("in"), 1)
        self.assertEqual({name: self.far.connects(name) for name in self.numbers},
                         {"out": 1, "bulk": 1, "other": 2}, self.log())
        for topic, found in self.numbers.items():
            self.assertEqual(sorted(set(found)), expected, topic)
        self.assertEqual(len(self.came), len(set(self.came)))
        ledger = json.loads(subprocess.run(["edgewise", "ledger", "app.yaml", "--json"],
                                           cwd=self.folder, capture_output=True, check=True).stdout)
        rows = ledger["sources"]["in"].values()
        self.assertEqual(sum(row["accepted"] for row in rows), MESSAGES)
        self.assertEqual(sum(row["delivered"] for row in rows), MESSAGES)


if __name__ == "__main__":
    unittest.main()
