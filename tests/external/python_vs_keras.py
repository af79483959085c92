#!/usr/bin/env python3
"""The same program, once with Keras and once with Edgewise: the losses agree.

    python_vs_keras.py KERAS_PYTHON PACKAGE_FOLDER

KERAS_PYTHON is an interpreter with Keras (tests/oracle/requirements.txt), PACKAGE_FOLDER holds our
package (build/release/python). Both start from bench/snippet/base_model.h5, shuffle nothing, and
then evaluate and predict; Keras also reads the file that Edgewise wrote. Exit status 77 if
there is no such interpreter.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOSS_TOLERANCE = 2e-5  # that of the recorded runs, see tests/oracle/README.md
METRIC_TOLERANCE = 1e-6

MAKE_DATA = """
import sys
import numpy as np
rng = np.random.default_rng(0)
y = rng.integers(0, 10, 500)
x = rng.random((500, 8, 8, 1), dtype="float32") + y[:, None, None, None].astype("float32") / 10
np.savez(sys.argv[1], x_train=x, y_train=y)
"""

EVALUATE = """
import json, sys
import keras
import numpy as np
model = keras.models.load_model(sys.argv[1])
with np.load(sys.argv[2]) as arrays:
    y = keras.utils.to_categorical(arrays["y_train"], 10)
    print(json.dumps(model.evaluate(arrays["x_train"], y, verbose=0, return_dict=True)))
"""


def last_json(command, **environment):
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command}\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def differences(found, expected):
    """Lines that tell what differs by more than its tolerance."""
    lines = []
    for name, values in expected.items():
        limit = LOSS_TOLERANCE if name == "loss" else METRIC_TOLERANCE
        pairs = [(found[name], values)] if isinstance(values, float) else zip(found[name], values)
        for k, (ours, theirs) in enumerate(pairs):
            print(f"{name}[{k}]: {ours:.8f}, Keras {theirs:.8f}")
            if abs(ours - theirs) > limit:
                lines.append(f"{name}[{k}]: {ours}, Keras {theirs}, tolerance {limit}")
    return lines


def main():
    keras, package = sys.argv[1:3]
    if not os.access(keras, os.X_OK):
        print(f"no interpreter {keras}")
        sys.exit(77)
    program = ROOT / "tests/python/keras_program.py"
    base = ROOT / "bench/snippet/base_model.h5"
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data.npz")
        subprocess.run(["/usr/bin/python3", "-c", MAKE_DATA, data], check=True)
        theirs = last_json([keras, program, base, data, f"{folder}/keras.h5", "3"],
                           KERAS_PROGRAM="keras", KERAS_BACKEND="tensorflow")
        ours = last_json(["/usr/bin/python3", program, base, data, f"{folder}/ours.h5", "3"],
                         PYTHONPATH=package)
        reread = last_json([keras, "-c", EVALUATE, f"{folder}/ours.h5", data],
                           KERAS_BACKEND="tensorflow")
    lines = differences(ours["history"], theirs["history"])
    lines += differences(ours["evaluate"], theirs["evaluate"])
    lines += differences(ours["evaluate"], reread)
    if ours["epoch"] != theirs["epoch"]:
        lines.append(f"epochs: {ours['epoch']}, Keras {theirs['epoch']}")
    sys.exit("\n".join(lines))


if __name__ == "__main__":
    main()
