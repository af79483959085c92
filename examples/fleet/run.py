#!/usr/bin/env python3
"""Many agents, one Kafka, and consumer groups of 1, 2 and 4 members, with kills on both sides.

    examples/fleet/run.py [--agents 50] [--records 2000] [--rate 100] [--build build/release]

Starts kafka.sh's broker and the agents, each a process with a folder of its own that sends `--records`
readings at `--rate` a second; every fifth is killed with SIGKILL twice on the way. Then consumer groups
add up the topic, once undisturbed and once with a member killed at work and another one started. Exit
status 1 unless every group has, for every device, exactly the records and bytes that its agent read:
each one once, although some stand in the topic twice. Exit status 77 without Java or Maven (kafka.sh).
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SENSORS = 4


class Agents:
    """The agents, and what each group must find: records and bytes by device."""

    def __init__(self, program, folder, options, topic):
        self.program, self.folder, self.options = program, folder, options
        self.random = random.Random(1)
        self.expected = {}
        self.kills = 0
        template = (HERE / "agent.yaml").read_text()
        words = {"BROKERS": options.brokers, "TOPIC": topic,
                 "INTERVAL": f"{int(1e6 / options.rate)}us"}
        self.homes = []
        self.hot = {}
        for number in range(options.agents):
            home = folder / f"agent-{number:03}"
            home.mkdir(parents=True)
            text = template.replace("AGENT", home.name)
            for word, value in words.items():
                text = text.replace(word, value)
            (home / "app.yaml").write_text(text)
            self.write_readings(home)
            self.homes.append(home)

    def write_readings(self, home):
        with open(home / "readings.jsonl", "w") as file:
            for n in range(self.options.records):
                key = f"{home.name}/s{n % SENSORS}"
                temp = round(self.random.gauss(60, 15), 2)
                line = f'{{"id":"{key}","n":{n},"temp":{temp}}}'
                file.write(line + "\n")
                records, size = self.expected.get(key, (0, 0))
                self.expected[key] = (records + 1, size + len(line))
                self.hot[key] = self.hot.get(key, 0) + (temp > 95)

    def start(self, home):
        return subprocess.Popen([self.program, "run", "app.yaml", "--quiet"], cwd=home,
                                stdin=subprocess.DEVNULL)

    def run(self):
        """Runs them all to their end; returns the seconds."""
        begin = time.monotonic()
        running = {home: self.start(home) for home in self.homes}
        seconds = self.options.records / self.options.rate
        victims = [(self.random.uniform(0.1, 0.9) * seconds, home)
                   for home in self.homes[::5] for _ in range(2)]
        for due, home in sorted(victims):
            time.sleep(max(0.0, begin + due - time.monotonic()))
            running[home].kill()
            running[home].wait()
            self.kills += 1
            running[home] = self.start(home)
        for home, process in running.items():
            if process.wait(timeout=120 + 2 * seconds) != 0:
                sys.exit(f"fleet: {home.name} ended with {process.returncode}")
        return time.monotonic() - begin

    def check_ledgers(self):
        """Outputs that the agents' ledgers call delivered."""
        outputs = 0
        for home in self.homes:
            done = subprocess.run([self.program, "ledger", "app.yaml", "--json"], cwd=home, check=True,
                                  capture_output=True, text=True)
            rows = json.loads(done.stdout)
            for key, row in rows["sources"]["sensors"].items():
                if row != {"accepted": self.expected[key][0], "delivered": self.expected[key][0],
                           "dropped": {}, "queued": 0}:
                    sys.exit(f"fleet: {key}: {row} in the ledger of {home.name}")
            outputs += rows["sinks"]["site"]["delivered"]
        return outputs


class Group:
    """A consumer group in a folder of its own."""

    def __init__(self, program, folder, members, options, topic):
        folder.mkdir()
        self.folder = folder
        self.command = [program, "--brokers", options.brokers, "--topic", topic, "--group",
                        f"{topic}-{folder.name}", "--folder", str(folder), "--idle", "60"]
        self.members = [self.start() for _ in range(members)]

    def start(self):
        return subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)

    def sums(self):
        """(records, bytes) by device, over all partitions."""
        found = {}
        for file in self.folder.glob("partition-*.db"):
            with sqlite3.connect(file, timeout=10) as database:
                try:
                    rows = database.execute("SELECT key, records, bytes FROM sums").fetchall()
                except sqlite3.OperationalError:
                    continue  # it is being made
            for key, records, size in rows:
                before = found.get(key, (0, 0))
                found[key] = (before[0] + records, before[1] + size)
        return found

    def records(self):
        return sum(records for records, _ in self.sums().values())

    def wait_for(self, count, seconds):
        end = time.monotonic() + seconds
        while self.records() < count:
            if time.monotonic() > end:
                sys.exit(f"fleet: {self.folder.name}: {self.records()} of {count} records in time")
            time.sleep(0.05)

    def kill_one(self):
        self.members[0].kill()
        self.members[0].wait()
        self.members[0] = self.start()

    def stop(self):
        """What the members that were not killed report."""
        time.sleep(1)  # what comes twice would be counted now
        reports = []
        for member in self.members:
            member.send_signal(signal.SIGTERM)
        for member in self.members:
            line = member.communicate(timeout=60)[0]
            reports.append(json.loads(line))
        return reports


def run_group(program, folder, members, options, topic, agents, outputs, is_killing):
    name = f"group-of-{members}{'-killed' if is_killing else ''}"
    group = Group(program, folder / name, members, options, topic)
    try:
        if is_killing:
            group.wait_for(outputs // 4, 120)
            group.kill_one()
        group.wait_for(1, 120)
        begin = time.monotonic()
        group.wait_for(outputs, 180)
        seconds = time.monotonic() - begin
        reports = group.stop()
    finally:
        for member in group.members:
            member.kill()
    found = group.sums()
    wrong = 0
    for key, (records, size) in agents.expected.items():
        got = found.get(key, (0, 0))
        # Events of the rule come on top; their size is not of interest.
        if got[0] != records + agents.hot[key] or (agents.hot[key] == 0 and got[1] != size):
            wrong += 1
            print(f"fleet: {name}: {key}: {got} records and bytes, expected {records} and {size}")
    doubles = sum(report["duplicates"] for report in reports)
    size = sum(file.stat().st_size for file in group.folder.glob("partition-*.db"))
    rate = "" if is_killing else f", {outputs / seconds:.0f} records/s, {size / outputs:.0f} bytes an id"
    print(f"{members} member{'s' if members > 1 else ''}{', one killed' if is_killing else ''}: "
          f"{group.records()} records counted once, {doubles} known by their ids{rate}", flush=True)
    return wrong == 0 and group.records() == outputs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agents", type=int, default=50)
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--build", default=HERE.parents[1] / "build/release", type=Path)
    options = parser.parse_args()
    if not shutil.which("java") or not (shutil.which("mvn") or os.environ.get("KAFKA_HOME")):
        print("fleet: skipped: Java and Maven are needed")
        sys.exit(77)
    options.brokers = f"127.0.0.1:{os.environ.get('KAFKA_PORT', '19092')}"
    programs = options.build.resolve() / "bin"
    topic = f"fleet-{time.time_ns()}"
    subprocess.run([HERE / "kafka.sh", "start"], check=True)
    good = True
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            agents = Agents(programs / "edgewise", folder, options, topic)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = agents.run()
            usage = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime
            outputs = agents.check_ledgers()
            wanted = sum(n for n, _ in agents.expected.values()) + sum(agents.hot.values())
            good &= outputs == wanted
            print(f"{options.agents} agents, {agents.kills} kills, {seconds:.0f} s: {outputs} outputs "
                  f"delivered by their ledgers, {wanted} expected; {1e6 * cpu / outputs:.0f} µs of CPU "
                  f"an output, starts and repeats included", flush=True)
            for is_killing in (False, True):
                for members in (1, 2, 4):
                    good &= run_group(programs / "fleet_aggregator", folder, members, options, topic,
                                      agents, outputs, is_killing)
    finally:
        subprocess.run([HERE / "kafka.sh", "stop"], check=False)
    print("every record counted exactly once" if good else "fleet: FAILED")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
