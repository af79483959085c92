#!/usr/bin/env python3
"""Integer models give the same bytes on 64-bit ARM, under emulation, as on this machine.

    same_bytes.py NATIVE CROSS [MODEL.tflite...]

NATIVE is the folder with `edgewise` and `edgewise-run`, CROSS an `edgewise-run` for 64-bit ARM. Every
model (none given: the int8 ones of tests/tflite/fixtures) becomes an .ew file and is run on random bytes
by both, on processors with sdot and usmmla, with sdot, and with neither. Exit status 1 if bytes differ.
"""

import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EMULATOR = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]
PROCESSORS = ("max", "cortex-a76", "cortex-a53")


def run(*command, data=b""):
    done = subprocess.run(list(map(str, command)), input=data, capture_output=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stderr.decode()}")
    return done.stdout


def differences(model, native, cross, folder):
    """The processors on which the model gives other bytes than here."""
    packed = folder / "model.ew"
    run(native / "edgewise", "convert", model, packed)
    info = run(native / "edgewise-run", "--info", packed).decode()
    generator = random.Random(model.name)
    data = b""
    for dtype, size in re.findall(r"^input '.*' (\w+)\(.* (\d+) bytes$", info, re.MULTILINE):
        values = range(2 if dtype == "bool" else 256)
        data += bytes(generator.choices(values, k=int(size)))
    expected = run(native / "edgewise-run", packed, data=data)
    if not expected:
        raise RuntimeError(f"{model}: no output")
    return [cpu for cpu in PROCESSORS
            if run(*EMULATOR, "-cpu", cpu, cross, packed, data=data) != expected]


def main():
    native, cross = Path(sys.argv[1]), Path(sys.argv[2])
    given = [Path(name) for name in sys.argv[3:]]
    models = given or sorted((ROOT / "tests/tflite/fixtures").glob("*_i8.tflite"))
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            wrong = differences(model, native, cross, Path(folder))
            if wrong:
                failed += 1
                print(f"{model.name}: other bytes on {', '.join(wrong)}")
    print(f"{len(models) - failed} of {len(models)} models give the same bytes on {', '.join(PROCESSORS)}")
    return 1 if failed or not models else 0


if __name__ == "__main__":
    sys.exit(main())
