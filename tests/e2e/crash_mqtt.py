"""One folder, many kills, between two real MQTT servers; crash_test.py runs it.

A publisher gives numbered messages to the near server with QoS 1. The agent takes them in a session that
the server keeps, and publishes them to the far server through a line that is cut at random bytes and
is down for a while; both servers are restarted; the agent gets SIGKILL at random moments. In every other
run eight outputs may share a message. What must hold at the end, when everything was let through:
    every message that the near server acknowledged is at the far one, in order by key;
    accepted = delivered + dropped, dropped and queued are 0, delivered = different outputs that came;
    an output that came again has the id of the first time and is marked as resent, and no loss of the
    connection or process repeats more than are in flight (64);
    a message that the agent took twice (its PUBACK was lost) is one of the receive maximum (64) of a
    kill or a restart of the near server.
"""

import json
import random
import signal
import subprocess
import time

from mqtt import Broker, Line, Publisher, Subscriber

KEYS = 5
IN_FLIGHT = 64  # outputs, and messages of the source
BATCH = "max_batch: 8, max_wait: 2ms, max_in_flight: 8, "

APP = """
app: crash
state: state
journal: {{snapshot_every: 64K}}
sources:
  in: {{type: mqtt, server: "mqtt://127.0.0.1:{near}", topics: in/#, qos: 1, version: "{version}",
        client_id: agent, session: 1h, key_level: 2, retry_max: 100ms}}
streams:
  all: {{from: in}}
rules:
  hot: {{from: in, when: temp > 90, value: seq, kind: event}}
sinks:
  out: {{type: mqtt, server: "mqtt://127.0.0.1:{far}", topic: "out/{{key}}", qos: 1, retry_max: 100ms,
         {batch}queue: {{memory: 16K}}, from: [all, hot]}}
"""


class Failure(Exception):
    pass


class Received:
    """What came to the far server: the messages by output id, in order of their first coming."""

    def __init__(self):
        self.outputs = {}
        self.marked = 0  # copies of outputs that came before
        self.largest = 0  # outputs in one message, where they share messages
        self.faults = []

    def take(self, message):
        if message.is_duplicate:
            return  # the far server's own second attempt
        if message.user:
            is_resent = message.user.get("resent") == "true"
            return self.take_output(message.user["id"], message.topic, message.payload, is_resent)
        records = json.loads(message.payload)
        if not isinstance(records, list):
            return self.faults.append(f"no id: {message.payload}")
        self.largest = max(self.largest, len(records))
        for record in records:
            self.take_output(record["id"], message.topic, json.dumps(record["data"]),
                             record.get("resent", False))

    def take_output(self, name, topic, payload, is_resent):
        if name not in self.outputs:
            self.outputs[name] = (topic, payload)
        elif self.outputs[name] != (topic, payload):
            self.faults.append(f"{name} stands for two outputs")
        elif not is_resent:
            self.faults.append(f"{name} came again and is not marked")
        else:
            self.marked += 1

    def numbers(self, lane):
        """Of the messages, as they came first, with doubles under other ids."""
        found = [json.loads(payload) for name, (_, payload) in self.outputs.items()
                 if name.rsplit("/", 1)[1].startswith(lane)]
        return [int(row["seq"] if "seq" in row else row["value"]) for row in found]


class Run:
    def __init__(self, folder, messages, rate, seed):
        self.folder, self.random = folder, random.Random(seed)
        self.is_batched = seed % 2 == 1
        self.temps = [self.random.randrange(0, 100) for _ in range(messages)]
        self.near, self.far = Broker(folder, "near"), Broker(folder, "far")
        self.line = Line(self.far.port)
        (folder / "app.yaml").write_text(APP.format(near=self.near.port, far=self.line.port,
                                                    version=self.random.choice(["5", "3.1.1"]),
                                                    batch=BATCH if self.is_batched else ""))
        self.received = Received()
        self.subscriber = Subscriber(self.far.port, "out/#", self.received.take)
        if not self.subscriber.is_subscribed.wait(20):
            raise Failure("the far server takes no subscription")
        self.agent = self.start()
        # The near server keeps messages for the agent from its first subscription on.
        self.wait(lambda: self.ledger() is not None and "in: connected" in self.log(), 20)
        payloads = ((f"in/k{seq % KEYS}", json.dumps({"seq": seq, "temp": temp}).encode())
                    for seq, temp in enumerate(self.temps))
        self.publisher = Publisher(self.near.port, payloads, rate)
        self.kills = self.near_losses = self.far_restarts = 0

    def log(self):
        return (self.folder / "log").read_text()

    def start(self):
        with open(self.folder / "log", "a") as log:
            return subprocess.Popen(["edgewise", "run", "app.yaml"], cwd=self.folder, stderr=log,
                                    stdin=subprocess.DEVNULL)

    def ledger(self):
        done = subprocess.run(["edgewise", "ledger", "app.yaml", "--json"], cwd=self.folder,
                              capture_output=True, text=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def wait(self, condition, seconds):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or self.agent.poll() is not None:
                raise Failure("not in time:\n" + self.log()[-2000:])
            time.sleep(0.05)

    def trouble(self):
        """Something that may happen beside a kill."""
        kind = self.random.randrange(12)
        if kind < 4:
            self.line.cut()
        elif kind < 6:
            self.line.down()
        elif kind < 10:
            self.line.up()
        elif kind == 10:
            self.near.restart()
            self.near_losses += 1
        else:
            self.far.restart()
            self.far_restarts += 1

    def kill(self):
        # Half of them early, where recovery itself is at work.
        time.sleep(self.random.choice([self.random.uniform(0, 0.03),
                                       self.random.uniform(0.03, 0.25)]))
        if self.agent.poll() is not None:
            raise Failure(f"the agent ended with {self.agent.returncode}:\n{self.log()[-2000:]}")
        self.agent.send_signal(signal.SIGKILL)
        self.agent.wait()
        self.kills += 1
        if self.random.random() < 0.5:
            self.trouble()
        self.agent = self.start()

    def finish(self):
        self.line.up()
        self.publisher.wait()
        self.publisher.close()
        rows = {}

        def is_settled():
            rows.update(self.ledger() or {})
            sources = rows.get("sources", {}).get("in", {})
            return (sum(row["accepted"] for row in sources.values()) >= len(self.temps)
                    and all(row["queued"] == 0 for row in [*sources.values(), rows["sinks"]["out"]])
                    and len(self.received.outputs) >= rows["sinks"]["out"]["delivered"])
        self.wait(is_settled, 60)
        self.agent.send_signal(signal.SIGTERM)
        if self.agent.wait(timeout=20) != 0:
            raise Failure("the agent does not end well:\n" + self.log()[-2000:])
        self.subscriber.close()
        return self.ledger()

    def check(self, rows):
        received = self.received
        if received.faults:
            raise Failure(f"{len(received.faults)} faults, such as {received.faults[:3]}")
        if self.is_batched and not 1 < received.largest <= 8:
            raise Failure(f"{received.largest} outputs in the largest message, not up to 8")
        numbers = received.numbers("t")
        missing = set(range(len(self.temps))) - set(numbers)
        if missing:
            raise Failure(f"{len(missing)} messages are lost, such as {sorted(missing)[:5]}")
        hot = {seq for seq, temp in enumerate(self.temps) if temp > 90}
        if set(received.numbers("a")) != hot:
            raise Failure("events of the rule are lost or too many")
        last = {}
        for seq in dict.fromkeys(numbers):
            if seq < last.get(seq % KEYS, -1):
                raise Failure(f"key k{seq % KEYS}: {seq} came behind {last[seq % KEYS]}")
            last[seq % KEYS] = seq
        taken_twice = len(numbers) - len(set(numbers)) - self.publisher.sent_again
        if taken_twice > IN_FLIGHT * (self.kills + self.near_losses):
            raise Failure(f"{taken_twice} messages were taken twice in {self.kills} kills")
        losses = self.kills + self.line.cuts + self.far_restarts
        if received.marked > 2 * IN_FLIGHT * losses:  # two lanes
            raise Failure(f"{received.marked} outputs came again in {losses} losses")
        self.check_ledger(rows, len(numbers))
        return max(taken_twice, 0)

    def check_ledger(self, rows, outputs):
        total = 0
        for key, row in rows["sources"]["in"].items():
            if row["accepted"] != row["delivered"] or row["queued"] or row["dropped"]:
                raise Failure(f"{key}: {row} is not all delivered")
            total += row["accepted"]
        sink = rows["sinks"]["out"]
        if sink["accepted"] != sink["delivered"] or sink["queued"] or sink["dropped"]:
            raise Failure(f"sink: {sink} is not all delivered")
        if total != outputs or sink["delivered"] != len(self.received.outputs):
            raise Failure(f"the ledger counts {total} inputs and {sink['delivered']} outputs, "
                          f"{outputs} and {len(self.received.outputs)} came")

    def close(self):
        for each in (self.publisher, self.subscriber):
            each.stopping.set()
        self.line.close()
        self.agent.kill()
        self.agent.wait()
        self.near.stop()
        self.far.stop()


def run_once(folder, kills, messages, seconds, seed):
    """(kills, messages taken twice, outputs that came again marked)."""
    run = Run(folder, messages, messages / seconds, seed)
    try:
        for _ in range(kills):
            run.kill()
        twice = run.check(run.finish())
        return run.kills, twice, run.received.marked
    finally:
        run.close()
