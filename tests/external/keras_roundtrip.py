#!/usr/bin/env python3
"""Opens the Keras files that Edgewise writes with Keras 3 and with tf-keras.

    pip install tensorflow==2.21 keras==3.15.1 tf-keras==2.21
    tests/external/keras_roundtrip.py --edgewise build/release/bin/edgewise [--filter S] [--table FILE]

Every forward case of tests/oracle is converted to an `.h5` for both generations and to a `.keras`;
each Keras that the notes do not exclude must load the file and predict the recorded outputs. The
compiled cases must evaluate, and resume training where docs/guide/keras-files.md says so. Exit
status 0 only if something ran and nothing failed. --table writes the layers that one `.h5` serves.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="-1")

import numpy as np
import tensorflow as tf
import keras as K3
import tf_keras as K2

tf.get_logger().setLevel("ERROR")
FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "oracle" / "fixtures"
PREDICTION_BAR = 1e-6  # on top of the case's own float32 tolerance
PASSED, FAILED = [], []
WRITER = "k3.h5"  # whose files are converted
TABLE = {}  # class -> set of generations that opened a file with it


def convert(tool, source, target, version="both"):
    """Runs the converter; returns its notes."""
    done = subprocess.run(
        [*tool, str(source), str(target), "--keras-version", version], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"convert: {done.stdout}{done.stderr}".strip())
    return done.stdout + done.stderr


def arrays(folder, names):
    """The .npy files of a case."""
    return [np.load(folder / n) for n in names]


def as_list(x):
    """A list, also of one thing."""
    return list(x) if isinstance(x, (list, tuple)) else [x]


def outputs_of(model, inputs):
    """What the model computes, as float64."""
    got = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return [np.asarray(y).astype(np.float64) for y in as_list(got)]


def check(name, run):
    """Notes whether `run` passes."""
    try:
        run()
        PASSED.append(name)
    except Exception as error:
        text = str(error).strip().splitlines()
        FAILED.append(f"{name}: {type(error).__name__}: {text[0][:200] if text else ''}")
        print("FAILED", FAILED[-1], flush=True)


def expect_close(got, wanted, tolerance):
    """Raises if two lists of arrays differ by more than the tolerance."""
    for g, w in zip(got, wanted, strict=True):
        worst = float(np.max(np.abs(g - w.astype(np.float64)))) if w.size else 0.0
        if not worst <= tolerance:
            raise AssertionError(f"differs by {worst}, tolerance {tolerance}")


def predict(K, path, case, inputs, wanted):
    """Loads a file and compares its predictions."""
    K.backend.clear_session()
    model = K.models.load_model(path, compile=False)
    expect_close(outputs_of(model, inputs), wanted, case["tolerance"] + PREDICTION_BAR)


def forward_case(tool, folder, case, work):
    """One layer or model: both files, both generations."""
    writer = WRITER
    if writer not in case["writers"]:
        return
    source = folder / case["writers"][writer]["file"]
    name = folder.relative_to(FIXTURES)
    names = case["writers"][writer].get("outputs", case["outputs"])
    inputs, wanted = arrays(folder, case["inputs"]), arrays(folder, names)
    try:
        notes = convert(tool, source, work / "m.h5")
        convert(tool, source, work / "m.keras")
    except Exception as error:
        FAILED.append(f"{name}: {error}")
        print("FAILED", FAILED[-1], flush=True)
        return
    differs = "hard_sigmoid differs" in notes
    generations = []
    opens_h5 = "Neither Keras" not in notes
    for K, only, tag in ((K3, "Only Keras 2", "Keras 3"), (K2, "Only Keras 3", "Keras 2")):
        if not opens_h5 or only in notes or (differs and tag[-1] != writer[1]):
            continue
        before = len(FAILED)
        check(f"{name} h5 in {tag}", lambda: predict(K, work / "m.h5", case, inputs, wanted))
        if len(FAILED) == before:
            generations.append(tag)
    if differs and writer == "k2.h5" or "Only Keras 2" in notes and "misreads" not in notes:
        return
    check(f"{name} keras", lambda: predict(K3, work / "m.keras", case, inputs, wanted))
    for layer in case.get("layers", []):
        TABLE.setdefault(layer, {}).setdefault(str(name.name), generations)


def resume(K, path, folder, case):
    """Two more epochs from the file must be the two more epochs that Keras ran without a break."""
    K.backend.clear_session()
    model = K.models.load_model(path)
    iterations = int(np.asarray(model.optimizer.iterations))
    if iterations != case["iterations"]:
        raise AssertionError(f"iteration {iterations}, expected {case['iterations']}")
    x, y = np.load(folder / "x.npy"), np.load(folder / "y.npy")
    history = model.fit(
        x, y, batch_size=case["batch_size"], epochs=case["resume"]["epochs"], shuffle=False, verbose=0
    ).history
    expect_close(
        [np.asarray(history["loss"])],
        [np.asarray(case["resume"]["history"]["loss"])],
        case["tolerance"]["loss"],
    )
    expect_close(outputs_of(model, [x]), [np.load(folder / "pred_resumed.npy")], case["tolerance"]["pred"])


def evaluate(K, path, folder, case):
    """Loss and metrics of the file's compiled state."""
    K.backend.clear_session()
    model = K.models.load_model(path)
    x, y = np.load(folder / "x.npy"), np.load(folder / "y.npy")
    got = model.evaluate(x, y, batch_size=case["batch_size"], verbose=0)
    wanted = [case["evaluate"]["loss"], *(v for k, v in case["evaluate"].items() if k != "loss")]
    if len(as_list(got)) != len(wanted):
        raise AssertionError(f"{len(as_list(got))} figures, expected {len(wanted)}")
    if abs(as_list(got)[0] - wanted[0]) > case["tolerance"]["loss"]:
        raise AssertionError(f"loss {as_list(got)[0]}, expected {wanted[0]}")


def fit_unaided(K, path, folder, case):
    """fit() works straight after load_model()."""
    K.backend.clear_session()
    model = K.models.load_model(path)
    x, y = np.load(folder / "x.npy"), np.load(folder / "y.npy")
    loss = model.fit(x, y, batch_size=case["batch_size"], epochs=1, shuffle=False, verbose=0).history["loss"]
    if not np.isfinite(loss[0]):
        raise AssertionError(f"loss {loss[0]}")


def fit_case(tool, folder, case, work):
    """The compiled state: evaluate everywhere, resume where the layout allows it."""
    name, source = folder.relative_to(FIXTURES), folder / case["saved"]
    for version in ("both", "3", "2"):
        convert(tool, source, work / f"v{version}.h5", version)
    convert(tool, source, work / "m.keras")
    if "evaluate" in case:
        for K, tag in ((K3, "Keras 3"), (K2, "Keras 2")):
            check(f"{name} both evaluates in {tag}", lambda: evaluate(K, work / "vboth.h5", folder, case))
        check(f"{name} .keras evaluates", lambda: evaluate(K3, work / "m.keras", folder, case))
    check(f"{name} version 3 fits in Keras 3", lambda: fit_unaided(K3, work / "v3.h5", folder, case))
    if "resume" in case:
        check(f"{name} both resumes in Keras 2", lambda: resume(K2, work / "vboth.h5", folder, case))
        check(f"{name} version 2 resumes in Keras 2", lambda: resume(K2, work / "v2.h5", folder, case))
        check(f"{name} .keras resumes in Keras 3", lambda: resume(K3, work / "m.keras", folder, case))


def optimizer_case(tool, folder, name, work):
    """Every optimizer: the `.h5` that both open, resumed by Keras 2; the `.keras` by Keras 3."""
    source = folder / f"{name}.h5"
    notes = convert(tool, source, work / "o.h5")
    convert(tool, source, work / "o.keras")
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(8, 3)).astype(np.float32), np.eye(2, dtype=np.float32)[rng.integers(0, 2, 8)]
    K = K3 if folder.name == "k3" else K2

    def state(path, module):
        """Weights after two steps from the file, and the iteration it began at."""
        module.backend.clear_session()
        model = module.models.load_model(path)
        counter = getattr(model.optimizer, "_iterations", model.optimizer.iterations)
        begin = int(np.asarray(counter))
        model.fit(x, y, batch_size=4, epochs=1, shuffle=False, verbose=0)
        return begin, [np.asarray(w, np.float64) for w in model.get_weights()]

    def same(path, module, reference):
        """Compares with two steps from Keras' own state."""
        begin, weights = state(path, module)
        if begin != reference[0]:
            raise AssertionError(f"iteration {begin}, expected {reference[0]}")
        expect_close(weights, reference[1], 2e-6)

    if K is K2:
        reference = state(source, K2)
    else:
        # Keras 3 cannot resume its own .h5 unaided: rebuild the optimizer and hand the values over.
        import h5py

        K3.backend.clear_session()
        model = K3.models.load_model(source)
        with h5py.File(source) as f:
            group = f["optimizer_weights"]
            names = [n if isinstance(n, str) else n.decode() for n in group.attrs["weight_names"]]
            values = [np.asarray(group[n]) for n in names]
        model.optimizer.built = False
        model.optimizer.build(model.trainable_variables)
        for variable, value in zip(model.optimizer.variables, values, strict=True):
            variable.assign(value)
        begin = int(values[0])
        model.fit(x, y, batch_size=4, epochs=1, shuffle=False, verbose=0)
        reference = begin, [np.asarray(w, np.float64) for w in model.get_weights()]
    if "resumes training" in notes:
        check(f"{folder.name}/{name} resumes in Keras 2", lambda: same(work / "o.h5", K2, reference))
    check(f"{folder.name}/{name} .keras resumes in Keras 3", lambda: same(work / "o.keras", K3, reference))


def write_table(path):
    """Which layers one .h5 serves, from the cases that ran."""
    lines = ["| layer | Keras 3 | Keras 2 |", "| --- | --- | --- |"]
    for layer in sorted(TABLE):
        runs = list(TABLE[layer].values())
        marks = []
        for tag in ("Keras 3", "Keras 2"):
            opened = sum(tag in g for g in runs)
            marks.append("yes" if opened == len(runs) else f"{opened} of {len(runs)} cases" if opened else "no")
        lines.append(f"| {layer} | {marks[0]} | {marks[1]} |")
    pathlib.Path(path).write_text("\n".join(lines) + "\n")


def main():
    """Runs all cases."""
    global FIXTURES, WRITER
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edgewise", default="build/release/bin/edgewise")
    parser.add_argument("--converter", help="another program: CONVERTER IN OUT --keras-version V")
    parser.add_argument("--filter", default="")
    parser.add_argument("--writer", choices=["k3.h5", "k2.h5"], default="k3.h5", help="whose files to convert")
    parser.add_argument("--table")
    parser.add_argument("--fixtures", default=FIXTURES, help="another folder of cases")
    options = parser.parse_args()
    FIXTURES, WRITER = pathlib.Path(options.fixtures), options.writer
    tool = [options.converter] if options.converter else [options.edgewise, "convert"]
    with tempfile.TemporaryDirectory() as work:
        for path in sorted(FIXTURES.rglob("case.json")):
            if options.filter not in str(path.relative_to(FIXTURES)):
                continue
            case, folder = json.loads(path.read_text()), path.parent
            if case["kind"] == "forward":
                forward_case(tool, folder, case, pathlib.Path(work))
            elif case["kind"] == "fit":
                fit_case(tool, folder, case, pathlib.Path(work))
            elif case["kind"] == "optimizer_files":
                for name, variables in case["optimizers"].items():
                    # Neither Keras restores Nadam from an .h5; Keras 3 cannot load Lamb from one.
                    if isinstance(variables, list) and name not in ("nadam", "lamb"):
                        try:
                            optimizer_case(tool, folder, name, pathlib.Path(work))
                        except Exception as error:
                            FAILED.append(f"{folder.name}/{name}: {error}")
                            print("FAILED", FAILED[-1][:250], flush=True)
    if options.table:
        write_table(options.table)
    print(f"{len(PASSED)} passed, {len(FAILED)} failed")
    return 0 if PASSED and not FAILED else 1


if __name__ == "__main__":
    sys.exit(main())
