#!/usr/bin/env python3
"""How near the memory plans of models come to the lower bound: the most bytes alive at any step.

    plan_report.py EDGEWISE [MODEL or FOLDER...] [--rows N] [--most RATIO] [--least BYTES]

EDGEWISE is the built program, whose `inspect` prints both figures. Without models: those of MLPerf Tiny in
../shared, where they are, and every fixture under tests/. Prints one line for each of the N models (10)
that need the most beyond the bound, then how many there were. Models whose bound is less than BYTES (4096)
are only counted: of them, the bytes that kernels may read behind a buffer are most. Exit status 1 if one
needs more than RATIO (1.1) times its bound.
"""

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = {".tflite", ".onnx", ".h5", ".keras", ".ew"}
DEFAULT = [ROOT / "../shared/models", ROOT / "tests", ROOT / "examples"]


def models_in(paths):
    for path in map(Path, paths):
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in files if file.suffix in SUFFIXES)


def plan_of(program, model):
    """(arena, lower bound) in bytes, or None for a file that is no model or has open shapes."""
    done = subprocess.run([program, "inspect", model, "--json"], capture_output=True, text=True,
                          timeout=120)
    if done.returncode != 0:
        return None
    memory = json.loads(done.stdout).get("memory")
    return memory and (memory["arena_bytes"], memory["lower_bound_bytes"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("models", nargs="*", default=DEFAULT)
    parser.add_argument("--rows", type=int, default=10)
    parser.add_argument("--most", type=float, default=1.1)
    parser.add_argument("--least", type=int, default=4096)
    options = parser.parse_args()
    models = list(models_in(options.models))
    with ThreadPoolExecutor() as pool:
        plans = list(pool.map(lambda model: plan_of(options.program, model), models))
    found = [(plan[0] / plan[1], *plan, model) for plan, model in zip(plans, models)
             if plan and plan[1] >= options.least]
    found.sort(key=lambda row: -row[0])
    print("| model | arena | lower bound | ratio |\n| --- | --- | --- | --- |")
    for ratio, arena, bound, model in found[:options.rows]:
        name = model.parent.name + "/" + model.name
        print(f"| {name} | {arena:,} | {bound:,} | {ratio:.3f} |")
    over = sum(row[0] > options.most for row in found)
    print(f"{len(found)} models, {over} of them above {options.most}; "
          f"{sum(plan is not None for plan in plans) - len(found)} models below {options.least} bytes; "
          f"{plans.count(None)} files without a plan")
    return 1 if over or not found else 0


if __name__ == "__main__":
    sys.exit(main())
