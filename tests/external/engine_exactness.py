#!/usr/bin/env python3
"""Compares the engine with TensorFlow Lite Micro, LiteRT and ONNX Runtime, bit by bit where it must.

    engine_exactness.py [--models DIR] [--data DIR] [--inputs 1000] [--only WORD...] [--json OUT]

For every MLPerf Tiny .tflite of --models, on random inputs and on the recorded ones in --data:

  int8   profile tflm        the same bytes as PyPI tflite-micro
         profile litert-ref  the same bytes as LiteRT's reference kernels
         profile xnnpack     every layer, cut out and fed our activations, within one step of LiteRT's
                             default kernels; the same top class for 99.5 % of the recorded inputs
  float  |difference| <= 1e-5 of the largest |output| against LiteRT's reference kernels, and against
         ONNX Runtime on the .onnx that `edgewise convert` writes; or twice what those two differ by
         (ad01 multiplies the rounding of its narrow layer: on recorded sounds they lie 1.1e-4 and
         9.0e-5 from the same net in double precision, ours 1.4e-4, each on a side of its own)

Needs `edgewise` on PATH and requirements.txt. Exit status: 0 all hold, 1 one does not, 77 (skipped)
where the peers or the models are missing.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import onnxruntime
    from ai_edge_litert import interpreter as litert

    import cut_layers
    from real_inputs import real_inputs
    from tflite_roundtrip import (compare, random_inputs, reference, run_edgewise, run_litert,
                                  run_tflm)
except ImportError as error:
    print(f"skipped: {error}", file=sys.stderr)
    sys.exit(77)

ROOT = Path(__file__).resolve().parents[2]
FLOAT_TOLERANCE = 1e-5
# Where a file has int8 weights for float activations, the last bit of a float sum may choose another
# integer for the next layer, one of 127 steps away.
DYNAMIC_RANGE_TOLERANCE = 3e-2
SAME_CLASS = 0.995


def default_kernels(path):
    """LiteRT as users run it: with its XNNPACK delegate."""
    it = litert.Interpreter(model_path=str(path))
    it.allocate_tensors()
    return it


def run_default(path, inputs):
    it, results = default_kernels(path), []
    for i in range(len(inputs[0])):
        for d, x in zip(it.get_input_details(), inputs):
            it.set_tensor(d["index"], x[i:i + 1])
        it.reset_all_variables()
        it.invoke()
        results.append([it.get_tensor(o["index"]).copy() for o in it.get_output_details()])
    return [np.concatenate(column) for column in zip(*results)]


def steps_of_layers(path, x, folder):
    """The largest difference of each layer from LiteRT's default kernels on the same input:
    [(operator, steps, share of equal elements)]."""
    model = cut_layers.read(path)
    every = folder / "every.tflite"
    cut_layers.write(cut_layers.with_all_activations(model), every)
    graph = model.subgraphs[0]
    names = [t for op in graph.operators for t in op.outputs]
    ours = dict(zip(names, run_edgewise(every, [x], len(names), folder,
                                        "--int8-profile", "xnnpack")))
    ours[graph.inputs[0]] = x
    rows = []
    for index in range(len(graph.operators)):
        part, inputs = cut_layers.one_operator(model, index)
        cut_layers.write(part, folder / "part.tflite")
        theirs = run_default(folder / "part.tflite", [ours[t] for t in inputs])[0]
        mine = ours[graph.operators[index].outputs[0]].reshape(theirs.shape)
        off = np.abs(mine.astype(np.int64) - theirs.astype(np.int64))
        rows.append((cut_layers.operator_name(model, index), int(off.max()),
                     float((off == 0).mean())))
    return rows


def same_class(a, b):
    """How many rows have the same largest element; equal scores count whatever their order."""
    a, b = (y.reshape(len(y), -1) for y in (a, b))
    best = np.take_along_axis(b, a.argmax(1)[:, None], 1)[:, 0]
    return float((best == b.max(1)).mean())


def check_int8(path, inputs, real, folder):
    row, good = {}, True
    for kind, x in (("random", inputs), ("real", real)):
        if x is None:
            continue
        for profile, run in (("tflm", run_tflm), ("litert-ref", run_litert)):
            theirs = run(path, [x])
            if theirs is None:
                raise SystemExit(f"{path}: {profile} cannot run it")
            found = compare(run_edgewise(path, [x], 1, folder, "--int8-profile", profile), theirs)
            row[f"{kind} {profile}"] = f"{found['equal']}/{found['samples']}"
            good &= found["equal"] == found["samples"]
    sample = (real if real is not None else inputs)[:100]
    layers = steps_of_layers(path, sample, folder)
    worst = max(layers, key=lambda layer: layer[1])
    row["xnnpack layers"] = f"{len(layers)}, worst {worst[1]} ({worst[0]})"
    good &= worst[1] <= 1
    if real is not None and not path.name.startswith("ad01"):  # whose outputs are no classes
        ours = run_edgewise(path, [real], 1, folder, "--int8-profile", "xnnpack")[0]
        share = same_class(ours, run_default(path, [real])[0])
        row["xnnpack top-1"] = round(share, 4)
        good &= share >= SAME_CLASS
    return row, good


def run_onnx(path, inputs, folder):
    """ONNX Runtime on our .onnx of the model; inputs row by row, as the file is for one."""
    written = folder / "written.onnx"
    subprocess.run(["edgewise", "convert", str(path), str(written)], check=True)
    net = onnxruntime.InferenceSession(str(written), providers=["CPUExecutionProvider"])
    names = [i.name for i in net.get_inputs()]
    rows = [net.run(None, {n: x[i:i + 1] for n, x in zip(names, inputs)})
            for i in range(len(inputs[0]))]
    return [np.concatenate(column) for column in zip(*rows)]


def check_float(path, inputs, real, folder):
    row, good = {}, True
    dynamic = any(d["dtype"] == np.int8 for d in reference(path).get_tensor_details())
    peers = [("BUILTIN_REF", lambda x: run_litert(path, [x]))]
    if not dynamic:  # the written file has real weights: another arithmetic
        peers.append(("ONNX Runtime", lambda x: run_onnx(path, [x], folder)))
    outputs = len(reference(path).get_output_details())
    for kind, x in (("random", inputs), ("real", real)):
        if x is None:
            continue
        ours = run_edgewise(path, [x], outputs, folder)
        theirs = {name: run(x) for name, run in peers}
        tolerance = DYNAMIC_RANGE_TOLERANCE if dynamic else FLOAT_TOLERANCE
        if len(theirs) > 1:
            apart = compare(theirs["ONNX Runtime"], theirs["BUILTIN_REF"])["relative_error"]
            row[f"{kind} peers apart"] = float(f"{apart:.2g}")
            tolerance = max(tolerance, 2 * apart)
        for name, y in theirs.items():
            error = compare(ours, y)["relative_error"]
            row[f"{kind} {name}"] = float(f"{error:.2g}")
            good &= error <= tolerance
    return row, good


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=ROOT.parent / "shared/models/mlperf-tiny")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--only", nargs="*", default=[""], help="parts of file names")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    models = [m for m in sorted(args.models.glob("*.tflite"))
              if any(word in m.name for word in args.only)]
    if not models:
        print(f"skipped: no .tflite in {args.models}", file=sys.stderr)
        return 77
    report, all_good = {}, True
    for path in models:
        detail = reference(path).get_input_details()[0]
        real = real_inputs(path, args.data, detail)
        is_int8 = reference(path).get_output_details()[0]["dtype"] == np.int8
        count = args.inputs if is_int8 else min(args.inputs, 100)
        inputs = random_inputs([detail], count, np.random.default_rng(args.seed))[0]
        with tempfile.TemporaryDirectory() as name:
            row, good = (check_int8 if is_int8 else check_float)(path, inputs, real, Path(name))
        report[path.name] = row
        all_good &= good
        print("ok  " if good else "FAIL", path.name, json.dumps(row), flush=True)
    if args.json:
        args.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 0 if all_good else 1


if __name__ == "__main__":
    sys.exit(main())
