#!/usr/bin/env python3
"""MLPerf Tiny's quality figures on recorded data, by Edgewise and by its peers: equal.

    engine_accuracy.py [--models DIR] [--data DIR] [--json OUT]

  keyword spotting   accuracy over the recordings of the benchmark's test set
  anomaly detection  area under the ROC curve of the mean squared error of the reconstruction, over
                     every 0.16 s of ToyCar sounds (a recording as a whole is one point of the
                     benchmark's own curve; there are too few of them for a curve)

Edgewise runs in the profiles tflm, litert-ref and xnnpack; the peers are tflite-micro, LiteRT's
reference kernels and LiteRT as it comes. Equal: for integers the figure of the profile's own peer
to the last digit (xnnpack: within half a point of LiteRT's default), for floats to 1e-3.
Needs `edgewise` on PATH and requirements.txt. Exit status: 0 equal, 1 not, 77 (skipped) where peers,
models or data are missing.
"""
import argparse
import json
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np

    from engine_exactness import ROOT, run_default
    from real_inputs import labels, real_inputs, toycar_vectors
    from tflite_roundtrip import reference, run_edgewise, run_litert, run_tflm
except ImportError as error:
    print(f"skipped: {error}", file=sys.stderr)
    sys.exit(77)

PEERS = {"tflm": run_tflm, "litert-ref": run_litert, "xnnpack": run_default}


def real_values(y, detail):
    """Stored integers as the numbers they stand for."""
    if detail["dtype"] != np.int8:
        return y.astype(np.float64)
    scale, zero = detail["quantization"]
    return (y.astype(np.float64) - zero) * scale


def area_under_curve(scores, is_positive):
    """The chance that a positive scores above a negative; ties count half."""
    above = scores[is_positive][:, None] - scores[~is_positive][None]
    return float((above > 0).mean() + 0.5 * (above == 0).mean())


def keyword_accuracy(_, y, truth):
    return float((y.reshape(len(y), -1).argmax(1) == truth).mean())


def anomaly_auc(x, y, truth):
    return area_under_curve(((x - y) ** 2).mean(1), truth)


def tasks(models, data):
    """(model, inputs, what is known of them, figure) of all that is there."""
    for name in ("kws_ref_model.tflite", "kws_ref_model_float32.tflite"):
        path = models / name
        if path.exists() and (data / "audio/kws01_mlperf_tiny").exists():
            x = real_inputs(path, data, reference(path).get_input_details()[0])
            yield path, x, labels(data), keyword_accuracy
    files = sorted(data.glob("audio/toycar/*.wav"))
    counts = [len(toycar_vectors(f)) for f in files]
    truth = np.repeat([f.name.startswith("anomaly") for f in files], counts)
    for name in ("ad01_int8.tflite", "ad01_fp32.tflite"):
        path = models / name
        if path.exists() and files:
            x = real_inputs(path, data, reference(path).get_input_details()[0])
            yield path, x, truth, anomaly_auc


def figures(path, x, truth, figure):
    """{profile: (ours, the peer's)}"""
    it = reference(path)
    source, target = it.get_input_details()[0], it.get_output_details()[0]
    is_int8 = target["dtype"] == np.int8
    real_x = real_values(x, source)
    out = {}
    with tempfile.TemporaryDirectory() as name:
        for profile, run in PEERS.items():
            theirs = run(path, [x])
            if theirs is None or (profile == "tflm" and not is_int8):
                continue  # TFLite Micro's float kernels are LiteRT's
            ours = run_edgewise(path, [x], 1, Path(name), "--int8-profile", profile)
            out[profile] = tuple(figure(real_x, real_values(y[0], target), truth)
                                 for y in (ours, theirs))
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=ROOT.parent / "shared/models/mlperf-tiny")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    report, all_good = {}, True
    for path, x, truth, figure in tasks(args.models, args.data):
        found = figures(path, x, truth, figure)
        is_float = "tflm" not in found
        for profile, (ours, theirs) in found.items():
            tolerance = 5e-3 if profile == "xnnpack" else 1e-3 if is_float else 0
            good = abs(ours - theirs) <= tolerance
            all_good &= good
            print("ok  " if good else "FAIL", f"{path.name}: {figure.__name__} over {len(x)}, "
                  f"{profile}: ours {ours:.4f}, peer {theirs:.4f}", flush=True)
        report[path.name] = found
    if not report:
        print(f"skipped: no models in {args.models} or no data in {args.data}", file=sys.stderr)
        return 77
    if args.json:
        args.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 0 if all_good else 1


if __name__ == "__main__":
    sys.exit(main())
