#!/usr/bin/env python3
"""From fork to first output: a subscriber is connected and a message comes every 5 ms before the agent
starts; prints the median and the least of several starts, in milliseconds.

    AGENT_BIN=$PWD/build/release/bin/edgewise python3 bench/gateway/first_output.py [--starts 10]
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
import mqtt  # noqa: E402

CONFIG = json.loads((ROOT / "bench/gateway/edgewise-pass.json").read_text())
EVERY_S = 0.005


def publish(port, stopping):
    sock, _, _ = mqtt.connect(port, "probe")
    seq = 0
    while not stopping.wait(EVERY_S):
        payload = json.dumps({"id": "s0", "seq": seq, "ts": 0, "temp": 20.0}).encode()
        sock.sendall(mqtt.packet(mqtt.PUBLISH, mqtt.text("in/0") + b"\0" + payload))
        seq += 1


def first_output(folder, came):
    """Seconds from the fork of an agent to its first output."""
    came.clear()
    begin = time.monotonic()
    agent = subprocess.Popen([os.environ["AGENT_BIN"], "run", str(folder / "app.yaml"), "--quiet"])
    try:
        if not came.wait(20):
            sys.exit("no output came within 20 s")
        return came.at - begin
    finally:
        agent.kill()
        agent.wait()


class Arrival(threading.Event):
    """Set by the first message; knows when it came."""

    at = 0.0

    def take(self, _message):
        if not self.is_set():
            self.at = time.monotonic()
            self.set()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=10)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    broker = mqtt.Broker(folder, "probe")
    # As gwbench.py has it; without it the broker's kernel holds small packets back for 40 ms.
    broker.conf.write_text(broker.conf.read_text() + "set_tcp_nodelay true\n")
    broker.restart()
    stopping = threading.Event()
    try:
        app = CONFIG["files"]["app.yaml"]
        for name in ("{IN}", "{OUT}"):
            app = app.replace(name, str(broker.port))
        (folder / "app.yaml").write_text(app)
        came = Arrival()
        subscriber = mqtt.Subscriber(broker.port, CONFIG["out_topic"], came.take)
        if not subscriber.is_subscribed.wait(20):
            sys.exit("the broker takes no subscription")
        threading.Thread(target=publish, args=(broker.port, stopping), daemon=True).start()
        times = []
        for _ in range(args.starts):
            time.sleep(0.2)  # outputs of the one before are through
            times.append(first_output(folder, came) * 1e3)
        print(json.dumps({"starts": len(times), "median_ms": round(statistics.median(times), 2),
                          "least_ms": round(min(times), 2)}))
        subscriber.close()
    finally:
        stopping.set()
        broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
