#!/usr/bin/env python3
"""CPU seconds and peak memory of the whole snippet, from process start, against real Keras.

    bench/snippet/run.py [--build build/release] [--keras build/keras/bin/python] [--runs 3]

The data are the first 1,400 rows of scikit-learn's digits (8x8x1, divided by 16), the other rows
are for validation and test; the model is base_model.h5 (make_base_model.py). Programs, in one run:

    keras           tests/python/keras_program.py with Keras: load, fit 2 epochs, save
    edgewise, same  the same file with its imports changed
    edgewise, more  edgewise_program.py: load, fit 2 epochs, prune (fine-tuning 3 epochs), quantise,
                    save
    edgewise, CLI   the same with `edgewise train` and `edgewise optimize`, as one shell command

User and system seconds and peak resident size are the kernel's own figures for the finished process
and all that it started (wait4); the least of the runs counts. Reading them through this script puts
a floor of its own size, some 10 MB, under the peak.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

PREPARE = """
import gzip, sys
import numpy as np
rows = np.loadtxt(gzip.open(sys.argv[1]), delimiter=",", dtype="float32")
x = (rows[:, :64] / 16).reshape(-1, 8, 8, 1)
y = rows[:, 64].astype("int64")
np.savez(sys.argv[2], x_train=x[:1400], y_train=y[:1400], x_val=x[1400:1600], y_val=y[1400:1600],
         x_test=x[1600:], y_test=y[1600:])
"""


def digits_csv(cache: Path) -> Path:
    """digits.csv.gz from the wheel, of which nothing is installed."""
    path = cache / "digits.csv.gz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps",
                            "--only-binary=:all:", "--python-version=3.11", "-d", folder,
                            "scikit-learn==1.9.1"], check=True)
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                path.write_bytes(wheel.read("sklearn/datasets/data/digits.csv.gz"))
    return path


def measure(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """CPU seconds and peak megabytes of one process with its children."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log,
                                   stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            log.seek(0)
            sys.exit(f"{' '.join(command)}\n{log.read().decode()}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def commands(build: Path, keras: str, data: Path, out: Path) -> dict[str, tuple[list, dict]]:
    """Command and environment by name."""
    program = str(ROOT / "tests/python/keras_program.py")
    base = str(HERE / "base_model.h5")
    python = {"PYTHONPATH": str(build / "python")}
    schedule = "ExponentialDecay(0.01, decay_steps=10000, decay_rate=0.9)"
    words = f"--optimizer adam --lr-schedule '{schedule}' --loss categorical_crossentropy"
    edgewise = build / "bin" / "edgewise"
    shell = (f"{edgewise} train {base} --data {data} --epochs 2 {words} --metrics accuracy "
             f"-o {out}/trained.h5 && {edgewise} optimize {out}/trained.h5 --data {data} "
             f"--prune 0.5 --max-accuracy-drop 0.02 -o {out}/cli.h5")
    return {
        "keras": ([keras, program, base, str(data), str(out / "keras.h5")],
                  {"KERAS_PROGRAM": "keras"}),
        "edgewise, same": (["/usr/bin/python3", program, base, str(data), str(out / "same.h5")],
                           python),
        "edgewise, more": (["/usr/bin/python3", str(HERE / "edgewise_program.py"), base, str(data),
                            str(out / "more.h5")], python),
        "edgewise, CLI": (["/bin/sh", "-c", shell], {}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--keras", default=str(ROOT / "build/keras/bin/python"))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--digits", type=Path, help="digits.csv.gz, instead of downloading it")
    options = parser.parse_args()
    csv = options.digits or digits_csv(options.build / "bench")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        data = out / "digits.npz"
        subprocess.run(["/usr/bin/python3", "-c", PREPARE, csv, data], check=True)
        results = {}
        for name, (command, environment) in commands(options.build.resolve(), options.keras, data,
                                                     out).items():
            runs = [measure(command, environment) for _ in range(options.runs)]
            results[name] = [min(figure) for figure in zip(*runs)]
    seconds, megabytes = results["keras"]
    print(f"{'program':16} {'CPU s':>8} {'peak MB':>8} {'less CPU':>9} {'less MB':>9}")
    for name, (cpu, peak) in results.items():
        print(f"{name:16} {cpu:8.2f} {peak:8.1f} {seconds / cpu:8.1f}x {megabytes / peak:8.1f}x")


if __name__ == "__main__":
    main()
