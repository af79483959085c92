#!/usr/bin/env python3
"""Opens files that Edgewise wrote in real Keras and compares what they predict.

    reads_our_files.py EDGEWISE [FILTER]

Every model recorded in tests/oracle/fixtures is converted to .h5 for both generations and to
.keras, opened by Keras 3 and, in a process of its own, by tf-keras, and its predictions are held
against the recorded ones. A model that one generation cannot express is told in the converter's notes
and skipped there. Needs tests/oracle/requirements.txt.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FIXTURES = Path(__file__).resolve().parents[1] / "oracle/fixtures"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def cases(text):
    """(name, model file, inputs, outputs, tolerance) of every recorded forward case."""
    for file in sorted(FIXTURES.glob("*/*/case.json")):
        case = json.loads(file.read_text())
        model = file.parent / "model.k3.h5"
        if case.get("kind") == "forward" and model.exists() and text in file.parent.name:
            yield (file.parent.name, model, sorted(file.parent.glob("input_*.npy")),
                   sorted(file.parent.glob("output_*.npy")), case["tolerance"])


def largest_error(load_model, file, inputs, outputs):
    """Largest difference from the recorded outputs, relative to what float32 allows there."""
    import numpy as np
    x = [np.load(i) for i in inputs]
    y = load_model(str(file), compile=False).predict(x if len(x) > 1 else x[0], verbose=0)
    y = list(y.values()) if isinstance(y, dict) else y if isinstance(y, (list, tuple)) else [y]
    return max(float(np.max(np.abs(a - np.load(b)), initial=0)) for a, b in zip(y, outputs))


def check(generation, folder):
    """Checks the converted files in `folder` with one generation; prints failures and counts."""
    if generation == "2":
        from tf_keras.models import load_model
    else:
        from keras.models import load_model
    passed = failed = 0
    for name, _, inputs, outputs, tolerance in cases(""):
        for suffix in ("h5",) if generation == "2" else ("h5", "keras"):
            file = Path(folder, f"{name}.{suffix}")
            is_other = file.with_suffix(f".not{generation}").exists() and suffix == "h5"
            if not file.exists() or is_other:
                continue
            try:
                error = largest_error(load_model, file, inputs, outputs)
                problem = None if error <= 4 * tolerance else f"differs by {error:.3g}"
            except Exception as reason:  # noqa: BLE001: whatever Keras throws is a failure
                problem = f"{type(reason).__name__}: {str(reason)[:200]}"
            passed += problem is None
            failed += problem is not None
            if problem:
                print(f"FAILED {name}.{suffix} in Keras {generation}: {problem}", flush=True)
    print(f"Keras {generation}: {passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


def convert(edgewise, text, folder):
    """Converts every case; returns the number that could not be."""
    failed = 0
    for name, model, *_ in cases(text):
        for suffix in ("h5", "keras"):
            done = subprocess.run([edgewise, "convert", model, Path(folder, f"{name}.{suffix}"),
                                   "--json"], capture_output=True, text=True)
            if done.returncode != 0:
                failed += 1
                print(f"FAILED {name}.{suffix}: {done.stderr.strip()}", flush=True)
                continue
            notes = " ".join(json.loads(done.stdout)["notes"])
            for generation, other in (("2", "3"), ("3", "2")):
                if suffix == "h5" and f"Only Keras {other} opens" in notes:
                    Path(folder, f"{name}.not{generation}").touch()
    return failed


def main():
    if sys.argv[1] == "--check":
        return check(sys.argv[2], sys.argv[3])
    edgewise, text = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    with tempfile.TemporaryDirectory() as folder:
        failed = convert(edgewise, text, folder)
        for generation in ("3", "2"):
            failed += subprocess.run([sys.executable, __file__, "--check", generation,
                                      folder]).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
