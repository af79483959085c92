#!/usr/bin/env python3
"""Trains, shrinks and runs the pressure monitor on a real trace with a labelled anomaly.

    examples/pressure/run.py [--edgewise PROGRAM] [--out FOLDER] [--data FOLDER]

Downloads the trace (PyPI aeon 1.6.0, BSD-3-Clause: UCR Anomaly Archive, InternalBleeding16; nothing of
the package is run) unless FOLDER holds the two CSV files. Trains the autoencoder on the normal part,
stores it as 8-bit integers, and lets the agent watch the other part: once in float, once in int8, once
sample by sample to measure the delay, and once killed (SIGKILL) in the middle and started again.
Exit status 1 if an alert is missing, late or false, or if the kill changed anything.
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = "aeon==1.6.0"
INSIDE = "aeon/datasets/data/KDD-TSAD_135/135_UCR_Anomaly_InternalBleeding16_"
SEEN = 1200  # rows of TEST that repeat TRAIN
ALLOWED = 100  # samples between label and alert


def shell(program, *words, cwd, quiet=False):
    """Runs one verb and returns what it printed."""
    if not quiet:
        print("$ edgewise " + " ".join(f"'{w}'" if " " in w or "?" in w else w for w in words))
    done = subprocess.run([program, *words], cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def fetch(data):
    """Puts the two CSV files into the folder."""
    if all((data / name).exists() for name in ("TRAIN.csv", "TEST.csv")):
        return
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder,
                        "--disable-pip-version-check", PACKAGE], check=True)
        with zipfile.ZipFile(next(Path(folder).glob("aeon-*.whl"))) as wheel:
            for name in ("TRAIN.csv", "TEST.csv"):
                (data / (name + ".part")).write_bytes(wheel.read(INSIDE + name))
                (data / (name + ".part")).rename(data / name)


def label_of(trace):
    """First and last labelled row behind what was trained on."""
    with open(trace, newline="") as file:
        rows = [int(row["timestamp"]) for row in csv.DictReader(file) if int(row["is_anomaly"])]
    rows = [row for row in rows if row >= SEEN]
    return min(rows), max(rows)


def events_of(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def judge(events, label, name):
    """Prints when the alert rose against the label; False if it is missing, late or false."""
    raised = [e["ts"] // 1_000_000 for e in events if e["state"] == "raised"]
    raised = [row for row in raised if row >= SEEN]
    hits = [row for row in raised if label[0] - 1 <= row <= label[1] + ALLOWED]
    false = len(raised) - len(hits)
    at = f"row {hits[0]}, {hits[0] - label[0]} samples behind its first" if hits else "never"
    print(f"{name:6} alert: {at} labelled row ({label[0]} to {label[1]}); {false} false alerts")
    return bool(hits) and false == 0


def watch(program, folder, model):
    for name in ("state", "events.jsonl"):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    shell(program, "run", "pressure.yaml", "--quiet", "--set", f"models.normal.file={model}", cwd=folder)
    return events_of(folder)


def delay(program, folder, trace, alerted):
    """Milliseconds from writing row `alerted` to the alert on standard output."""
    app = (folder / "pressure.yaml").read_text()
    app = app.replace("type: file\n    path: trace.csv", "type: stdin\n    header: true")
    app = app.replace("    speed: 0\n", "    columns: [timestamp, value, is_anomaly]\n")
    app = app.replace("type: file\n    path: events.jsonl", "type: stdout")
    (folder / "live.yaml").write_text(app.replace("state: state\n", ""))
    agent = subprocess.Popen([program, "run", "live.yaml", "--quiet"], cwd=folder, text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    lines = trace.read_text().splitlines()
    agent.stdin.write("\n".join(lines[: alerted + 1]) + "\n")  # the header and the rows before it
    agent.stdin.flush()
    time.sleep(0.3)
    begin = time.perf_counter()
    agent.stdin.write(lines[alerted + 1] + "\n")
    agent.stdin.flush()
    event = json.loads(agent.stdout.readline())
    ms = (time.perf_counter() - begin) * 1e3
    agent.stdin.close()
    agent.wait(timeout=10)
    return ms if event["state"] == "raised" else float("nan")


def killed_in_the_middle(program, folder):
    """Events and ledger of a run that was killed half-way and started again."""
    shutil.rmtree(folder / "state", ignore_errors=True)
    (folder / "events.jsonl").unlink(missing_ok=True)
    paced = [program, "run", "pressure.yaml", "--quiet", "--set", "sources.trace.speed=5000"]
    agent = subprocess.Popen(paced, cwd=folder)
    time.sleep(0.75)  # about half of 7,501 rows at 5,000 rows a second
    agent.kill()
    agent.wait()
    ledger = json.loads(shell(program, "ledger", "pressure.yaml", "--json", cwd=folder, quiet=True))
    rows = sum(entry["accepted"] for entry in ledger["sources"]["trace"].values())
    subprocess.run([*paced[:-1], "sources.trace.speed=0"], cwd=folder, check=True)
    return rows, events_of(folder), shell(program, "ledger", "pressure.yaml", "--json", cwd=folder,
                                          quiet=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edgewise", default=HERE.parents[1] / "build/release/bin/edgewise")
    parser.add_argument("--out", default="demo-out/pressure", type=Path)
    parser.add_argument("--data", default=HERE.parents[1] / "build/data/pressure", type=Path)
    options = parser.parse_args()
    program, folder = str(Path(options.edgewise).resolve()), options.out.resolve()
    fetch(options.data)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for source, name in ((options.data / "TRAIN.csv", "train.csv"), (options.data / "TEST.csv", "trace.csv"),
                         (HERE / "base_model.h5", "base_model.h5"), (HERE / "pressure.yaml", "pressure.yaml")):
        shutil.copy(source, folder / name)
    label = label_of(folder / "trace.csv")

    windows = "train.csv?columns=value&label=none&window=32&target=input"
    shell(program, "train", "base_model.h5", "--data", windows, "--epochs", "200", "--batch-size", "32",
          "--quiet", "-o", "autoencoder.h5", cwd=folder)
    shell(program, "optimize", "autoencoder.h5", "--data", windows, "--quiet", "-o", "optimized_model.h5",
          "-o", "autoencoder.tflite", cwd=folder)
    good = judge(watch(program, folder, "autoencoder.h5"), label, "float")
    reference = watch(program, folder, "autoencoder.tflite")
    good &= judge(reference, label, "int8")
    ledger = shell(program, "ledger", "pressure.yaml", "--json", cwd=folder, quiet=True)
    print(shell(program, "ledger", "pressure.yaml", cwd=folder), end="")
    alerted = next(e["ts"] for e in reference if e["ts"] >= SEEN * 1_000_000) // 1_000_000
    print(f"from sample to alert: {delay(program, folder, folder / 'trace.csv', alerted):.2f} ms")
    rows, events, after = killed_in_the_middle(program, folder)
    same = events == reference and json.loads(after) == json.loads(ledger)
    print(f"killed (SIGKILL) behind {rows} rows and started again: events and both ledgers are "
          f"{'the same' if same else 'DIFFERENT'}")
    if not same:
        print(f"expected {reference}\n{ledger}found {events}\n{after}")
    sys.exit(0 if good and same else 1)


if __name__ == "__main__":
    main()
