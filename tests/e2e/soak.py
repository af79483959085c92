#!/usr/bin/env python3
"""An hour of load with random faults: the agent must not grow, lose or miscount.

    soak.py [--minutes N] [--rate N] [--seed S]

One process of the agent between two real MQTT servers. A publisher sends `--rate` messages a second, some
of them broken, of keys that are new, or too large; the line to the far server is cut and down for
seconds; both servers are restarted; half a TLS handshake and other nonsense arrive at the agent's own port;
its app file is taken over again. Exit status 1 unless
    the mean resident memory of the last 10 minutes is at most 1.02 times that of minutes 10 to 20
    (of an hour; below half an hour it is only printed: buffers still find their size), and
    at the end accepted = delivered + dropped for every key, all that is dropped has the reason that
    was provoked, and every good message came to the far server: alone and in a message of many, and what
    came again is marked.
"""

import argparse
import json
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mqtt import Broker, Line, Publisher, Subscriber, lasting_port

KEYS = 20
GOOD, BROKEN, DUPLICATE, LARGE, NEW_KEY = range(5)

APP = """
app: soak
state: state
http: {{port: {http}}}
sources:
  in: {{type: mqtt, server: "mqtt://127.0.0.1:{near}", topics: in/#, client_id: agent, session: 1h,
        key_level: 2, retry_max: 1s, max_payload: 4K, max_keys: 60}}
streams:
  all: {{from: in, where: not missing(seq)}}
  smooth: {{from: in, set: {{mean: "avg(temp, 50)", rate: rate(temp)}}, keep: [seq, mean, rate]}}
  second:
    from: in
    window: {{type: tumbling, size: 1s}}
    select: {{id: key, mean: avg(temp), p95: "percentile(temp, 95)", n: count()}}
rules:
  hot: {{from: in, when: temp > 97, kind: event, value: seq}}
  silent: {{from: in, absent: 5s, when: temp > 1000}}
sinks:
  far: {{type: mqtt, server: "mqtt://127.0.0.1:{far}", topic: "out/{{rule}}", retry_max: 1s,
         queue: {{memory: 64K}}, from: [all, second, hot, silent]}}
  bulk: {{type: mqtt, server: "mqtt://127.0.0.1:{far}", topic: bulk, retry_max: 1s, max_batch: 32,
          max_wait: 200ms, queue: {{memory: 64K}}, from: all}}
  file: {{type: sqlite, path: smooth.db, table: smooth, max_rows: 10000, from: smooth}}
"""


class Load:
    """The messages, and what must become of them."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.sent = {kind: 0 for kind in range(5)}
        self.is_over = False

    def __iter__(self):
        return self

    def __next__(self):
        if self.is_over:
            raise StopIteration
        seq = sum(self.sent.values())
        kind = self.random.choices(range(5), weights=[995, 2, 1, 1, 1])[0]
        self.sent[kind] += 1
        key = self.random.randrange(KEYS)
        temp = round(self.random.gauss(50, 20), 2) if seq % 100 else "NaN"
        payload = f'{{"seq":{seq},"temp":{temp}}}'
        if kind == BROKEN:
            payload = self.random.choice(['{"seq":', f'{{"seq":{seq},"temp":1,}}', "", "\xff\0"])
        elif kind == DUPLICATE:
            payload = f'{{"seq":{seq},"seq":{seq},"temp":1}}'
        elif kind == LARGE:
            payload = f'{{"seq":{seq},"text":"{"x" * 8000}"}}'
        elif kind == NEW_KEY:
            key = 1000 + seq
        return f"in/k{key}", payload.encode("latin-1")


class Receiver:
    """What came to the far server under one topic."""

    def __init__(self, port, topic, outputs):
        """`outputs`: of a Message the list of (id, whether it is marked as resent, number)."""
        self.topic, self.outputs = topic, outputs
        self.seen = {}  # number of an output -> None; the newest
        self.numbers = set()  # of good messages
        self.marked = self.unmarked = self.messages = 0
        self.subscriber = Subscriber(port, topic, self.take, client_id=f"receiver-{topic}")
        self.subscriber.is_subscribed.wait(20)

    def take(self, message):
        self.messages += 1
        for name, is_resent, number in self.outputs(message):
            place = int(name.rsplit("/t", 1)[1])
            if place not in self.seen:
                self.seen[place] = None
            elif not message.is_duplicate:  # else the server's own repetition
                self.marked += is_resent
                self.unmarked += not is_resent
            self.numbers.add(number)
        while len(self.seen) > 200_000:
            self.seen.pop(next(iter(self.seen)))


def single(message):
    return [(message.user["id"], message.user.get("resent") == "true", json.loads(message.payload)["seq"])]


def batch(message):
    return [(output["id"], output.get("resent", False), output["data"]["seq"])
            for output in json.loads(message.payload)]


class Soak:
    def __init__(self, folder, options):
        self.folder, self.options = folder, options
        self.random = random.Random(options.seed)
        self.near, self.far = Broker(folder, "near"), Broker(folder, "far")
        self.line = Line(self.far.port)
        self.http = lasting_port()
        self.write_app()
        self.faults = {}
        self.receivers = [Receiver(self.far.port, "out/all", single),
                          Receiver(self.far.port, "bulk", batch)]
        self.log = open(folder / "log", "w")
        self.agent = subprocess.Popen(["edgewise", "run", "app.yaml"], cwd=folder, stderr=self.log,
                                      stdin=subprocess.DEVNULL)
        self.wait(lambda: "in: connected" in (folder / "log").read_text(), 20)
        self.load = Load(options.seed)
        self.publisher = Publisher(self.near.port, self.load, options.rate)

    def write_app(self):
        (self.folder / "app.yaml").write_text(
            APP.format(near=self.near.port, far=self.line.port, http=self.http))

    def wait(self, condition, seconds):
        end = time.monotonic() + seconds
        while not condition():
            if self.agent.poll() is not None:
                sys.exit(f"soak: the agent ended with {self.agent.returncode}")
            if time.monotonic() > end:
                sys.exit("soak: not in time; " + json.dumps(self.rows()))
            time.sleep(0.2)

    def rows(self):
        done = subprocess.run(["edgewise", "ledger", "app.yaml", "--json"], cwd=self.folder,
                              capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def memory_kb(self):
        status = Path(f"/proc/{self.agent.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def nonsense(self):
        with socket.create_connection(("127.0.0.1", self.http), timeout=5) as sock:
            sock.sendall(self.random.choice([
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
                b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
                b"POST /api/alerts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
                bytes(self.random.randrange(256) for _ in range(300))]))

    def fault(self):
        name = self.random.choices(["cut", "down", "near", "far", "nonsense", "reload"],
                                   weights=[30, 20, 3, 3, 30, 4])[0]
        self.faults[name] = self.faults.get(name, 0) + 1
        if name == "cut":
            self.line.cut()
        elif name == "down":
            self.line.down()
            time.sleep(self.random.uniform(0.5, 4))
            self.line.up()
        elif name == "near":
            self.near.restart()
        elif name == "far":
            self.far.restart()
        elif name == "nonsense":
            self.nonsense()
        else:
            self.write_app()
            self.agent.send_signal(signal.SIGHUP)

    def run(self):
        """Resident memory, once a second."""
        memory = []
        begin = time.monotonic()
        due = begin + 5
        while (now := time.monotonic()) < begin + 60 * self.options.minutes:
            if self.agent.poll() is not None:
                sys.exit(f"soak: the agent ended with {self.agent.returncode}")
            memory.append(self.memory_kb())
            if now > due:
                self.fault()
                due = now + self.random.uniform(2, 10)
            time.sleep(max(0, 1 - (time.monotonic() - now)))
        return memory

    def finish(self):
        self.load.is_over = True
        self.line.up()
        self.publisher.wait()
        found = {}

        def is_settled():
            found.update(self.rows())
            return all(row["queued"] == 0 for row in found["sinks"].values())
        self.wait(is_settled, 120)
        self.agent.send_signal(signal.SIGTERM)
        if self.agent.wait(timeout=30) != 0:
            sys.exit("soak: the agent does not end well")
        time.sleep(1)  # the subscriber's last messages
        for receiver in self.receivers:
            receiver.subscriber.close()
        return self.rows()

    def check(self, rows):
        """What is wrong, as lines."""
        wrong = []
        dropped = {}
        for key, row in rows["sources"]["in"].items():
            if row["accepted"] != row["delivered"] + row["queued"] + sum(row["dropped"].values()):
                wrong.append(f"{key}: {row} does not balance")
            if row["queued"]:
                wrong.append(f"{key}: {row['queued']} are queued")
            for reason, count in row["dropped"].items():
                dropped[reason] = dropped.get(reason, 0) + count
        expected = {"malformed", "duplicate_key", "too_large", "key_limit"}
        if set(dropped) - expected:
            wrong.append(f"dropped for {set(dropped) - expected}")
        sent = self.load.sent
        for reason, kind in (("malformed", BROKEN), ("duplicate_key", DUPLICATE), ("too_large", LARGE)):
            # Fewer are lost with nothing; more come twice when a connection is lost.
            if dropped.get(reason, 0) < sent[kind]:
                wrong.append(f"{sent[kind]} were {reason}, {dropped.get(reason, 0)} are counted")
        good = sent[GOOD] + max(0, sent[NEW_KEY] - dropped.get("key_limit", 0))
        for receiver in self.receivers:
            if len(receiver.numbers) < good:
                wrong.append(f"{receiver.topic}: {good - len(receiver.numbers)} of {good} messages are lost")
            if receiver.unmarked:
                wrong.append(f"{receiver.topic}: {receiver.unmarked} outputs came again and are not marked")
        return wrong, dropped


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("soak: ended from outside"))
    with tempfile.TemporaryDirectory() as name:
        soak = Soak(Path(name), options)
        try:
            memory = soak.run()
            rows = soak.finish()
        finally:
            soak.publisher.stopping.set()
            soak.agent.kill()
            soak.line.close()
            soak.near.stop()
            soak.far.stop()
        wrong, dropped = soak.check(rows)
    sixth = len(memory) // 6
    before = sum(memory[sixth:2 * sixth]) / sixth
    after = sum(memory[-sixth:]) / sixth
    if options.minutes >= 30 and after > 1.02 * before:
        wrong.append("the agent grew")
    print(f"{options.minutes:g} min, {sum(soak.load.sent.values())} messages, faults {soak.faults}, "
          f"dropped {dropped}; "
          + "".join(f"{len(each.numbers)} came to {each.topic} in {each.messages} messages, "
                    f"{each.marked} again and marked; " for each in soak.receivers)
          + f"resident memory {before:.0f} KB, at the end {after:.0f} KB ({after / before:.4f})")
    for line in wrong:
        print("soak:", line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
