#!/usr/bin/env python3
"""Compares Edgewise on TFLite models with TensorFlow Lite Micro and LiteRT's reference kernels.

    tflite_roundtrip.py MODEL.tflite... [--inputs 1000] [--real FILE.npy] [--json OUT]

Integer models: the same bytes as tflite-micro (profile tflm) and as LiteRT's BUILTIN_REF (profile
litert-ref). Float outputs: |difference| <= 1e-5 of the largest |output| (dynamic range: 3e-2, one
step of a layer). With --round-trip each model is written back first (edgewise convert), and the
written file stands the same comparison. Needs `edgewise` on PATH, numpy, ai-edge-litert and
tflite-micro; exit status 1 if a model fails, 77 (skipped) where the peers are not installed.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    from ai_edge_litert import interpreter as litert
    from tflite_micro.python.tflite_micro import runtime as tflm
except ImportError as error:
    print(f"skipped: {error}", file=sys.stderr)
    sys.exit(77)

FLOAT_TOLERANCE = 1e-5
# With int8 weights and float activations (dynamic range) every layer quantises its input: where two
# float sums differ in their last bit, that may be another integer, one of 127 steps away.
DYNAMIC_RANGE_TOLERANCE = 3e-2


def reference(model, resolver=litert.OpResolverType.BUILTIN_REF):
    """LiteRT's reference kernels."""
    it = litert.Interpreter(model_path=str(model), experimental_op_resolver_type=resolver)
    it.allocate_tensors()
    return it


def random_inputs(details, count, rng):
    """`count` samples of every input: integers over their whole range, floats from [-1, 1]."""
    out = []
    for d in details:
        shape = (count,) + tuple(d["shape"][1:])
        if d["dtype"] == np.bool_:
            out.append(rng.integers(0, 2, shape).astype(np.bool_))
        elif np.issubdtype(d["dtype"], np.integer):
            info = np.iinfo(d["dtype"])
            out.append(rng.integers(info.min, info.max, shape, d["dtype"], endpoint=True))
        else:
            out.append(rng.uniform(-1, 1, shape).astype(d["dtype"]))
    return out


def run_litert(model, inputs, resolver=litert.OpResolverType.BUILTIN_REF):
    it = reference(model, resolver)
    details, results = it.get_input_details(), []
    for i in range(len(inputs[0])):
        for d, x in zip(details, inputs):
            it.set_tensor(d["index"], x[i:i + 1])
        it.reset_all_variables()  # recurrent layers begin with zeros, as in Keras
        it.invoke()
        results.append([it.get_tensor(o["index"]).copy() for o in it.get_output_details()])
    return [np.concatenate(column) for column in zip(*results)]


def run_tflm(model, inputs):
    """None where tflite-micro cannot run the model."""
    try:
        it = tflm.Interpreter.from_file(str(model), arena_size=1 << 24)
        results = []
        outputs = len(reference(model).get_output_details())
        for i in range(len(inputs[0])):
            for k, x in enumerate(inputs):
                it.set_input(x[i:i + 1], k)
            it.invoke()
            results.append([np.array(it.get_output(k)) for k in range(outputs)])
        return [np.concatenate(column) for column in zip(*results)]
    except (RuntimeError, ValueError, SystemError):
        return None


def run_edgewise(model, inputs, outputs, folder, *flags):
    names_in = [str(folder / f"x{i}.npy") for i in range(len(inputs))]
    names_out = [str(folder / f"y{i}.npy") for i in range(outputs)]
    for name, x in zip(names_in, inputs):
        np.save(name, x)
    subprocess.run(["edgewise", "predict", str(model), "--input", *names_in,
                    "--output", *names_out, *flags], check=True)
    return [np.load(name) for name in names_out]


def compare(ours, theirs):
    """(equal samples, samples, worst difference relative to the largest output, in steps)."""
    if theirs is None:
        return None
    equal = np.ones(len(theirs[0]), bool)
    worst, steps = 0.0, 0
    for a, b in zip(ours, theirs):
        if a.dtype != b.dtype or a.shape != b.shape:
            raise SystemExit(f"expected {b.dtype} {b.shape}, found {a.dtype} {a.shape}")
        equal &= (a == b).reshape(len(b), -1).all(1)
        if np.issubdtype(b.dtype, np.floating):
            largest = float(np.abs(b).max()) or 1.0
            worst = max(worst, float(np.abs(a - b).max()) / largest)
        elif b.dtype != np.bool_:
            steps = max(steps, int(np.abs(a.astype(np.int64) - b.astype(np.int64)).max()))
    return {"equal": int(equal.sum()), "samples": len(equal), "relative_error": worst,
            "steps": steps}


def check(model, inputs, folder):
    """The row of one model, and whether it holds."""
    litert_y = run_litert(model, inputs)
    tflm_y = run_tflm(model, inputs)
    is_float = np.issubdtype(litert_y[0].dtype, np.floating)
    row = {"model": Path(model).name}
    is_dynamic = is_float and any(d["dtype"] == np.int8
                                  for d in reference(model).get_tensor_details())
    tolerance = DYNAMIC_RANGE_TOLERANCE if is_dynamic else FLOAT_TOLERANCE
    for engine in ("fast", "reference"):
        for profile, theirs in (("tflm", tflm_y), ("litert-ref", litert_y)):
            ours = run_edgewise(model, inputs, len(litert_y), folder, "--int8-profile", profile,
                                "--engine", engine)
            row[f"{profile}/{engine}"] = compare(ours, theirs)
        if len(inputs[0]) > 50:
            inputs = [x[:50] for x in inputs]  # the plain reference is slow
            litert_y = [y[:50] for y in litert_y]
            tflm_y = tflm_y and [y[:50] for y in tflm_y]
    good = True
    for name, found in row.items():
        if not isinstance(found, dict):
            continue
        if is_float:
            good &= found["relative_error"] <= tolerance or name.startswith("tflm")
        else:
            good &= found["equal"] == found["samples"]
    return row, good


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--real", help="a .npy with real inputs instead of random ones")
    parser.add_argument("--json")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--round-trip", action="store_true", help="write each model back first")
    args = parser.parse_args()
    rows, all_good = [], True
    for model in args.models:
        details = reference(model).get_input_details()
        inputs = ([np.load(args.real)] if args.real else
                  random_inputs(details, args.inputs, np.random.default_rng(args.seed)))
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if args.round_trip:
                written = folder / Path(model).name
                subprocess.run(["edgewise", "convert", model, str(written)], check=True)
                same = compare(run_litert(written, inputs), run_litert(model, inputs))
                print(Path(model).name, "written back, in LiteRT:", same)
                all_good &= same["equal"] == same["samples"] or same["relative_error"] <= 1e-6 > 0
                model = written
            row, good = check(model, inputs, folder)
        rows.append(row)
        all_good &= good
        print("ok  " if good else "FAIL", json.dumps(row), flush=True)
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0 if all_good else 1


if __name__ == "__main__":
    sys.exit(main())
