#!/usr/bin/env python3
"""Holds ONNX files, read and written, against ONNX Runtime.

    pip install onnx==1.17.0 onnxruntime==1.32.0 numpy
    tests/external/onnx_roundtrip.py --edgewise build/release/bin/edgewise [--models FILE.onnx ...]

1. Every forward case of tests/oracle is converted to .onnx; the checker must accept the file and
   ONNX Runtime must compute from the recorded inputs what `predict` does, within 1e-5 of the largest
   |output|. Layers without an ONNX form are counted, by the error's text.
2. The example's model is quantised by `optimize` and written as .onnx: ONNX Runtime and `predict` must
   choose the same class for 99.5 % of the rows of the test part.
3. --models: other people's files, predicted from noise; float ones within 1e-5, int8 ones
   (with QuantizeLinear inside) by the class they choose, told but not judged, as noise lies near
   every boundary.

Exit status 0 only if something ran and nothing failed.
"""

import argparse
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
import onnxruntime.capi.onnxruntime_pybind11_state

ort.set_default_logger_severity(3)
ROOT = pathlib.Path(__file__).resolve().parents[2]
FLOAT_BAR = 1e-5
HALF_BAR = 2e-3
CLASS_BAR = 0.995


def run(tool, *arguments):
    done = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True)
    return "" if done.returncode == 0 else (done.stderr.strip() or str(done.returncode))


def predict(tool, model, feeds, outputs, folder):
    """The outputs, or the tool's message."""
    arguments = ["predict", model]
    for i, x in enumerate(feeds):
        np.save(folder / f"in{i}.npy", x)
        arguments += ["--input", folder / f"in{i}.npy"]
    for i in range(outputs):
        arguments += ["--output", folder / f"out{i}.npy"]
    message = run(tool, *arguments)
    return message or [np.load(folder / f"out{i}.npy") for i in range(outputs)]


def open_session(path):
    onnx.checker.check_model(onnx.load(path), full_check=True)
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def difference(found, expected):
    """Largest difference as a share of the largest |output|; infinite for another shape."""
    if found.shape != expected.shape:
        return np.inf
    if expected.size == 0:
        return 0.0
    a, b = found.astype("f8"), expected.astype("f8")
    return float(np.nanmax(np.abs(a - b), initial=0) / max(np.nanmax(np.abs(b), initial=0), 1e-30))


def written_case(tool, case, folder):
    """'' if it agrees, 'none: ...' if a layer has no form, else what is wrong."""
    target = folder / "case.onnx"
    target.unlink(missing_ok=True)
    message = run(tool, "convert", case / "model.k3.h5", target)
    if message:
        return "none: " + message.split(": ", 2)[-1]
    session = open_session(target)
    feeds = [np.load(p) for p in sorted(case.glob("input_*.npy"))]
    names = session.get_inputs()
    if len(feeds) != len(names):
        return f"{len(names)} inputs for {len(feeds)} arrays"
    kinds = {"tensor(float)": "f4", "tensor(double)": "f8", "tensor(float16)": "f2"}
    feeds = [x.astype(kinds.get(n.type, n.type[7:-1])) for x, n in zip(feeds, names)]
    expected = session.run(None, {n.name: x for n, x in zip(names, feeds)})
    found = predict(tool, case / "model.k3.h5", feeds, len(expected), folder)
    if isinstance(found, str):
        return found
    worst = max(difference(f, e) for f, e in zip(found, expected))
    # In half precision every operator rounds, in its own order.
    is_half = any("float16" in entry.type for entry in [*names, *session.get_outputs()])
    return "" if worst <= (HALF_BAR if is_half else FLOAT_BAR) else f"differs by {worst:.2g}"


def idx(path):
    """An IDX file, gzipped or not."""
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    dims = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, -1, 4 + 4 * raw[3]).reshape(dims)


def quantised(tool, data, folder):
    """Share of rows for which both choose the same class."""
    target = folder / "int8.onnx"
    h5 = folder / "int8.h5"
    message = run(tool, "optimize", ROOT / "examples/fashion_mnist/base_model.h5", "--data", data,
                  "--scale", "1/255", "-o", h5, "-o", target)
    if message:
        raise RuntimeError(message)
    images = next(p for p in sorted(data.iterdir()) if p.name.startswith("t10k-images"))
    x = idx(images).astype("f4")
    session = open_session(target)
    shape = session.get_inputs()[0].shape
    x = x.reshape([-1] + [d for d in shape[1:]])
    expected = session.run(None, {session.get_inputs()[0].name: x})[0]
    found = predict(tool, target, [x], 1, folder)
    own = predict(tool, h5, [x], 1, folder)
    if isinstance(found, str) or isinstance(own, str):
        raise RuntimeError(found if isinstance(found, str) else own)
    return [float(np.mean(y[0].argmax(1) == expected.argmax(1))) for y in (own, found)]


def read_model(tool, path, folder):
    """(worst difference, whether quantised, share of equal classes), or the tool's message."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    feeds = {}
    for entry in session.get_inputs():
        shape = [d if isinstance(d, int) and d > 0 else 1 for d in entry.shape]
        is_float = entry.type == "tensor(float)"
        feeds[entry.name] = (rng.standard_normal(shape).astype("f4") if is_float else
                             rng.integers(0, 100, shape).astype(entry.type[7:-1]))
    expected = session.run(None, feeds)
    found = predict(tool, path, list(feeds.values()), len(expected), folder)
    if isinstance(found, str):
        return found
    kinds = {n.op_type for n in onnx.load(path).graph.node}
    rows = [(f.reshape(len(f), -1).argmax(1) == e.reshape(len(e), -1).argmax(1)).mean()
            for f, e in zip(found, expected) if e.ndim > 0 and e.size]
    worst = max(difference(f, e) for f, e in zip(found, expected))
    return worst, "QuantizeLinear" in kinds, float(np.mean(rows))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--edgewise", required=True)
    parser.add_argument("--data", type=pathlib.Path, help="folder with Fashion-MNIST's IDX files")
    parser.add_argument("--models", nargs="*", default=[], type=pathlib.Path)
    options = parser.parse_args()
    passed, failed, none = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for group in ("layers", "sequences"):
            for case in sorted((ROOT / "tests/oracle/fixtures" / group).iterdir()):
                if not (case / "model.k3.h5").exists():
                    continue
                try:
                    outcome = written_case(options.edgewise, case, folder)
                except ort.capi.onnxruntime_pybind11_state.NotImplemented as error:
                    outcome = f"none: ONNX Runtime has no such kernel: {str(error)[:100]}"
                except Exception as error:  # the checker's and the runtime's own
                    outcome = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
                kind = none if outcome.startswith("none") else failed if outcome else passed
                kind.append(case.name)
                if outcome:
                    print(f"{case.name}: {outcome}")
        if options.data:
            own, again = quantised(options.edgewise, options.data, folder)
            print(f"int8: ONNX Runtime chooses the class of the .h5 for {own:.2%} of the rows, "
                  f"of the .onnx as we read it for {again:.2%}")
            (passed if own >= CLASS_BAR else failed).append("int8")
        for path in options.models:
            outcome = read_model(options.edgewise, path, folder)
            print(f"{path.name}: {json.dumps(outcome)}")
            is_good = not isinstance(outcome, str) and (outcome[1] or outcome[0] <= FLOAT_BAR)
            (passed if is_good else failed).append(path.name)
    print(f"{len(passed)} agree, {len(none)} without an ONNX form, {len(failed)} failed: {failed}")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
