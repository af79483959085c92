#!/usr/bin/env python3
"""Keras files through `edgewise convert` and `optimize` into LiteRT, tflite-micro and ONNX Runtime.

    h5_roundtrip.py [--models DIR] [--data DIR] [--only WORD...]

1. Float: every forward case of tests/oracle and every MLPerf Tiny .h5 becomes a .tflite; LiteRT's
   reference kernels must compute what `predict` does with the .h5, within 1e-5 of the largest
   |output| (where the kernels themselves are that exact; the MLPerf .h5 also as .onnx in ONNX
   Runtime; onnx_roundtrip.py holds the cases against it). Layers without a TFLite form are counted.
2. int8: the example's Fashion-MNIST model and the MLPerf Tiny classifiers are quantised by
   `edgewise optimize`. The .tflite must give the same bytes in tflite-micro (profile tflm) and in
   LiteRT's reference kernels (litert-ref) as in Edgewise; LiteRT's default kernels, and ONNX Runtime
   on the .onnx, must choose the same class for 99.5 % of the real inputs, or as often as LiteRT's
   reference kernels choose as its default ones do, if that is less (ResNet-8 on photographs that are
   none of its ten classes). LiteRT's default and the profile xnnpack: 99.5 % in any case.

Needs `edgewise` on PATH and requirements.txt. Exit status: 0 all agree, 1 not, 77 (skipped) where the
peers are missing. Models and data that are missing are named and left out.
"""
import argparse
import gzip
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import onnxruntime
    from ai_edge_litert import interpreter as litert

    from engine_exactness import ROOT, SAME_CLASS, run_default, same_class
    from real_inputs import image_crops, wakeword_windows
    from tflite_roundtrip import run_litert, run_tflm
except ImportError as error:
    print(f"skipped: {error}", file=sys.stderr)
    sys.exit(77)

FLOAT_TOLERANCE = 1e-5
FASHION = Path("/usr/share/datasets/fashion-mnist")


def edgewise(*arguments):
    """'' or the tool's message."""
    done = subprocess.run(["edgewise", *map(str, arguments)], capture_output=True, text=True)
    return "" if done.returncode == 0 else (done.stderr.strip() or f"status {done.returncode}")


def must(*arguments):
    message = edgewise(*arguments)
    if message:
        raise RuntimeError(message)


def predict(model, feeds, outputs, folder, *flags):
    arguments = ["predict", model]
    for i, x in enumerate(feeds):
        np.save(folder / f"in{i}.npy", x)
        arguments += ["--input", folder / f"in{i}.npy"]
    names = [folder / f"out{i}.npy" for i in range(outputs)]
    for name in names:
        arguments += ["--output", name]
    must(*arguments, *flags)
    return [np.load(name) for name in names]


def difference(found, expected):
    """Largest difference as a share of the largest |output|; infinite for another shape."""
    if found.shape != expected.shape:
        return np.inf
    a, b = found.astype("f8"), expected.astype("f8")
    if not (np.isfinite(a) == np.isfinite(b)).all():
        return np.inf
    largest = np.abs(b[np.isfinite(b)]).max(initial=0)
    off = np.abs(np.where(np.isfinite(b), a - b, 0)).max(initial=0)
    return float(off / max(largest, 1e-30))


def in_litert(path, feeds):
    """Row by row, for the batch that the file has. A few operators have no reference kernel."""
    try:
        return run_litert(path, feeds)
    except ValueError as error:
        if "Didn't find op" not in str(error):
            raise
        return run_litert(path, feeds, litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)


def float_case(h5, feeds, folder):
    """'' if LiteRT agrees, 'none: ...' where there is no TFLite form, else what is wrong."""
    target = folder / "case.tflite"
    target.unlink(missing_ok=True)
    message = edgewise("convert", h5, target)
    if message:
        return "none: " + message.split(": ", 1)[-1]
    theirs = in_litert(target, feeds)
    ours = predict(h5, feeds, len(theirs), folder)
    worst = max(difference(a, b) for a, b in zip(theirs, ours))
    return "" if worst <= FLOAT_TOLERANCE else f"differs by {worst:.2g}"


def oracle_cases():
    for group in ("layers", "sequences", "variants", "h5"):
        for case in sorted((ROOT / "tests/oracle/fixtures" / group).glob("*")):
            for h5 in sorted(case.glob("model.k[23].h5")):
                yield f"{case.name}.{h5.stem[-2:]}", h5, [
                    np.load(p) for p in sorted(case.glob("input_*.npy"))]


def float_part(args, folder):
    counts = {"agree": 0, "none": 0, "failed": 0}
    for name, h5, feeds in oracle_cases():
        if not any(word in name for word in args.only) or not feeds:
            continue
        try:
            outcome = float_case(h5, feeds, folder)
        except (RuntimeError, ValueError) as error:
            outcome = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
        kind = "none" if outcome.startswith("none") else "failed" if outcome else "agree"
        counts[kind] += 1
        if outcome:
            print(f"{name}: {outcome}", flush=True)
    print(f"float, oracle: {counts}", flush=True)
    return counts["failed"] == 0


def idx(path):
    """An IDX file, gzipped or not."""
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    dims = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, -1, 4 + 4 * raw[3]).reshape(dims)


def in_onnx(path, x):
    net = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    entry = net.get_inputs()[0]
    step = len(x) if not isinstance(entry.shape[0], int) else entry.shape[0]
    rows = [net.run(None, {entry.name: x[i:i + step]})[0] for i in range(0, len(x), step)]
    return np.concatenate(rows)


def mlperf(args):
    """(name, .h5, real inputs) of what is there; the streaming net wants its time axis first."""
    makers = {"vww_96.h5": lambda: image_crops(args.data, 96) / np.float32(255),
              "pretrainedResnet.h5": lambda: image_crops(args.data, 32),
              "str_ww_ref_model.h5": lambda: wakeword_windows(args.data)}
    for name, make in makers.items():
        path = args.models / name
        if not path.exists() or not (args.data / "vision/images").exists():
            print(f"left out: {name} ({args.models}, {args.data})")
        elif any(word in name for word in args.only):
            yield name, path, make()


def mlperf_float(name, h5, x, folder):
    outcome = float_case(h5, [x[:20]], folder)
    must("convert", h5, folder / "case.onnx")
    worst = difference(in_onnx(folder / "case.onnx", x[:20]), predict(h5, [x[:20]], 1, folder)[0])
    good = not outcome and worst <= FLOAT_TOLERANCE
    print("ok  " if good else "FAIL", f"{name} float: LiteRT {outcome or 'agrees'}, ONNX Runtime "
          f"differs by {worst:.2g}", flush=True)
    return good


def int8_case(name, h5, data, x, folder, *flags):
    """Quantises, and holds both files against their runtimes on the real inputs x."""
    small, lite, onnx = folder / "int8.h5", folder / "int8.tflite", folder / "int8.onnx"
    must("optimize", h5, "--data", data, "-o", small, "-o", lite, "-o", onnx, *flags)
    found, good = [], True
    micro, exact = x[:1000], x[:1000]  # the peers' reference kernels are slow
    for profile, rows, run in (("tflm", micro, run_tflm), ("litert-ref", exact, run_litert)):
        theirs = run(lite, [rows])
        if theirs is None:
            raise RuntimeError(f"{profile} cannot run {name}")
        # The .h5 keeps the profile that it was made for: the default, tflm.
        for model in (lite, small) if profile == "tflm" else (lite,):
            ours = predict(model, [rows], 1, folder, "--int8-profile", profile)[0]
            same = int((ours == theirs[0]).reshape(len(rows), -1).all(1).sum())
            found.append(f"{model.suffix} {profile} {same}/{len(rows)}")
            good &= same == len(rows)
    by_default = run_default(lite, [x])[0]
    in_ort = in_onnx(onnx, x)
    nearest = predict(lite, [x], 1, folder, "--int8-profile", "xnnpack")[0]
    exact = predict(small, [x], 1, folder)[0]
    # Where a net is nervous, LiteRT's own two sets of kernels choose differently.
    own = min(SAME_CLASS, same_class(run_litert(lite, [x[:1000]])[0], by_default[:1000]))
    for peer, theirs in (("LiteRT default", by_default), ("ONNX Runtime", in_ort)):
        is_twin = peer == "LiteRT default"  # of the profile xnnpack
        for profile, ours, bar in (("xnnpack", nearest, SAME_CLASS if is_twin else own),
                                   ("tflm", exact, own)):
            share = same_class(ours, theirs)
            found.append(f"{peer} top-1 {share:.4f} ({profile})")
            good &= share >= bar
    found.append(f"LiteRT's kernels among themselves {own:.4f}")
    print("ok  " if good else "FAIL", f"{name} int8: {', '.join(found)}", flush=True)
    return good


def fashion(args, folder):
    if not any(word in "fashion" for word in args.only):
        return True
    files = sorted(FASHION.glob("t10k-images*"))
    if not files:
        print(f"left out: {FASHION} (Debian dataset-fashion-mnist)")
        return True
    x = idx(files[0]).astype("f4")[..., None]
    return int8_case("fashion_mnist", ROOT / "examples/fashion_mnist/base_model.h5", FASHION, x,
                     folder, "--scale", "1/255")


def mlperf_int8(name, h5, x, folder):
    """Calibrated on every other real input, with the float model's own answers as labels."""
    labels = predict(h5, [x], 1, folder)[0].reshape(len(x), -1).argmax(1)
    np.savez(folder / "data.npz", x_train=x[::2], y_train=labels[::2], x_test=x[1::2],
             y_test=labels[1::2])
    # Close calls may fall the other way: the guard is not what is tested here.
    return int8_case(name, h5, folder / "data.npz", x, folder, "--max-accuracy-drop", "1",
                     "--loss", "sparse_categorical_crossentropy")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=ROOT.parent / "shared/models/mlperf-tiny")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--only", nargs="*", default=[""], help="parts of names")
    parser.add_argument("--part", choices=("float", "int8"), help="one part only")
    args = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.part != "int8":
            good &= float_part(args, folder)
        if args.part != "float":
            good &= fashion(args, folder)
        for label, h5, x in mlperf(args):
            if args.part != "int8":
                good &= mlperf_float(label, h5, x, folder)
            if args.part != "float":
                good &= mlperf_int8(label, h5, x, folder)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
