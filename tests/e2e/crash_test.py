#!/usr/bin/env python3
"""Kills the agent with SIGKILL at random points and checks what it promises: nothing that was
acknowledged is lost, few outputs come twice, and the ledger balances.

    crash_test.py [--kills N] [--mqtt-kills N] [--seed S]

`--kills`: a file source and a file sink: the source's lines are numbered, so that the sink's file shows every
loss and every double. The agent is killed again and again while it works through the lines, each
time at a random moment; at last it is let finish. Then, for every key:
    accepted = delivered + dropped, and nothing is queued;
    every line is in the sink's file, in order by key, and at most 64 were doubled by a kill.

`--mqtt-kills`: between two real MQTT servers that go away too; see crash_mqtt.py.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import crash_mqtt
from edgewise import MOSQUITTO

KEYS = 7
BATCH = 64  # outputs of one write of the file sink

APP = """
app: crash
state: state
journal: {{snapshot_every: 64K}}
sources:
  in: {{type: file, path: in.jsonl, key: id, interval: {interval}}}
streams:
  warm: {{from: in, where: temp > 10}}
  pairs:
    from: in
    window: {{type: count, count: 2}}
    select: {{id: key, n: count(), first: min(seq)}}
rules:
  hot: {{from: in, when: temp > 95, kind: event}}
sinks:
  out: {{type: file, path: out.jsonl, from: [warm]}}
  more: {{type: file, path: more.jsonl, from: [pairs, hot]}}
"""


def write_input(folder, lines, generator):
    with open(folder / "in.jsonl", "w") as file:
        for seq in range(lines):
            temp = generator.randrange(0, 100)
            file.write(f'{{"id":"k{seq % KEYS}","seq":{seq},"temp":{temp}}}\n')


def start(folder):
    return subprocess.Popen(["edgewise", "run", "app.yaml", "--quiet"], cwd=folder,
                            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)


def ledger(folder):
    done = subprocess.run(["edgewise", "ledger", "app.yaml", "--json"], cwd=folder,
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def fail(text):
    print("crash_test:", text)
    sys.exit(1)


def check_output(folder, lines, kills):
    rows = [json.loads(line) for line in open(folder / "in.jsonl")]
    wanted = [row["seq"] for row in rows if row["temp"] > 10]
    got = [json.loads(line)["seq"] for line in open(folder / "out.jsonl")]
    missing = set(wanted) - set(got)
    if missing:
        fail(f"{len(missing)} of {len(wanted)} lines are lost, such as {sorted(missing)[:5]}")
    if set(got) - set(wanted):
        fail("lines came out that should not")
    doubled = len(got) - len(set(got))
    if doubled > BATCH * kills:
        fail(f"{doubled} lines came twice in {kills} kills")
    last = {}
    seen = set()
    for seq in got:
        if seq in seen:
            continue
        seen.add(seq)
        if seq < last.get(seq % KEYS, -1):
            fail(f"key k{seq % KEYS}: {seq} came behind {last[seq % KEYS]}")
        last[seq % KEYS] = seq
    return doubled


def check_pairs(folder, lines):
    """Windows by count: which records are in one window does not depend on the kills."""
    wanted = {}
    for key in range(KEYS):
        seqs = [s for s in range(lines) if s % KEYS == key]
        wanted[f"k{key}"] = [seqs[i] for i in range(0, len(seqs) - 1, 2)]
    got = {}
    events = 0
    for line in open(folder / "more.jsonl"):
        row = json.loads(line)
        if "rule" in row:
            events += 1
            continue
        firsts = got.setdefault(row["id"], [])
        if row["first"] not in firsts:
            firsts.append(row["first"])
        if row["n"] != 2:
            fail(f"a window of {row['n']} records")
    if got != wanted:
        fail("windows differ from those of a run without kills")
    if events == 0:
        fail("no event of the rule")


def check_ledger(folder, lines):
    found = ledger(folder)
    total = 0
    for key, row in found["sources"]["in"].items():
        dropped = sum(row["dropped"].values())
        if row["accepted"] != row["delivered"] + dropped + row["queued"]:
            fail(f"{key}: {row} does not balance")
        expected = len(range(int(key[1:]), lines, KEYS))
        if row["accepted"] != expected:
            fail(f"{key}: accepted {row['accepted']} of {expected} lines")
        # What is left is one record that waits for the second of its pair, if nothing else had it.
        if row["queued"] > 1:
            fail(f"{key}: {row['queued']} are still queued")
        unexpected = set(row["dropped"]) - {"filtered"}
        if unexpected:
            fail(f"{key}: dropped for {unexpected}")
        total += row["accepted"]
    if total != lines:
        fail(f"the ledger counts {total} of {lines} lines")


def run_once(kills, lines, seed, seconds):
    """One folder, `kills` kills over about `seconds`; returns how many lines came twice."""
    generator = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app.yaml").write_text(APP.format(interval=f"{int(1e6 * seconds / lines)}us"))
        write_input(folder, lines, generator)
        done_kills = 0
        for _ in range(kills):
            process = start(folder)
            # Half of them early, where recovery itself is at work.
            time.sleep(generator.choice([generator.uniform(0, 0.03), generator.uniform(0.03, 0.3)]))
            if process.poll() is not None:
                if process.returncode != 0:
                    fail(f"the agent ended with {process.returncode}: {process.stderr.read()}")
                break
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process.stderr.close()
            done_kills += 1
        process = start(folder)
        _, errors = process.communicate(timeout=120)
        if process.returncode != 0:
            fail(f"the agent ended with {process.returncode}: {errors.decode()}")
        doubled = check_output(folder, lines, done_kills)
        check_pairs(folder, lines)
        check_ledger(folder, lines)
        return done_kills, doubled


def kill_over_files(count, seed):
    begin = time.monotonic()
    kills = doubled = rounds = 0
    while kills < count:
        more, twice = run_once(min(25, count - kills), 4000, seed + rounds, 4.0)
        kills += more
        doubled += twice
        rounds += 1
        if more == 0:
            fail("no kill hit the agent at work")
    print(f"files: {kills} kills in {rounds} runs, {time.monotonic() - begin:.0f} s: 0 lost, "
          f"{doubled} doubled, ledgers balanced")


def kill_over_mqtt(count, seed):
    if not MOSQUITTO:
        print("MQTT: skipped, mosquitto is not installed")
        return
    begin = time.monotonic()
    kills = taken_twice = marked = rounds = 0
    while kills < count:
        with tempfile.TemporaryDirectory() as folder:
            wanted = min(50, count - kills)
            try:
                found = crash_mqtt.run_once(Path(folder), wanted, 80 * wanted, wanted * 0.2,
                                            seed + rounds)
            except crash_mqtt.Failure as failure:
                fail(f"seed {seed + rounds}: {failure}")
        kills += found[0]
        taken_twice += found[1]
        marked += found[2]
        rounds += 1
    print(f"MQTT: {kills} kills in {rounds} runs, {time.monotonic() - begin:.0f} s: 0 lost, "
          f"{taken_twice} taken twice, {marked} sent again and marked, ledgers balanced")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--mqtt-kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    kill_over_files(args.kills, args.seed)
    kill_over_mqtt(args.mqtt_kills, args.seed)


if __name__ == "__main__":
    main()
