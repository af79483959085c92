#!/usr/bin/env python3
"""The surveillance detector in the forms that peers.py opens: SSD-MobileNetV2, 300x300, 24 classes.

  make_ssd.py TARGET [--package FILE.tgz] [--video vtest.avi] [--frames 32]

Leaves in TARGET

  ssd300.fp32.tflite   the model as Google ships it (half-precision weights), cut out of
                       npm's @mediapipe/objectron: bytes 184 to 9987911 of
                       objectron_solution_packed_assets.data (Apache-2.0)
  ssd300.fp32.onnx     the same by tf2onnx
  ssd300.int8.onnx     QDQ by ONNX Runtime's quantiser: uint8 activations, int8 weights per
                       channel, calibrated on frames of a street video
  ssd300.frames.npy    other frames of the video as the model takes them, for accuracy

Without --package it asks npm for the package, without --video Debian for vtest.avi (opencv-doc).
Needs requirements-convert.txt, and ffmpeg to read the video.
"""
import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

from convert import onnx_int8

PACKAGE = "@mediapipe/objectron@0.4.1675468480"
ASSETS = "package/objectron_solution_packed_assets.data"
OFFSET, LENGTH = 184, 9987728
SHA256 = "d0a5255bf8c4f5a0bc4240741a76c41d5e939f7655078f945f50ab53a9375da6"
VIDEO = "usr/share/doc/opencv-doc/examples/data/vtest.avi"
SIDE = 300


def fetch_package(folder):
    subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL)
    return next(Path(folder).glob("*.tgz"))


def detector(package):
    """The .tflite inside the package, checked."""
    with tarfile.open(package) as tar:
        model = tar.extractfile(ASSETS).read()[OFFSET:OFFSET + LENGTH]
    found = hashlib.sha256(model).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{package}: expected a detector with sha256 {SHA256}, found {found}")
    return model


def fetch_video(folder):
    subprocess.run(["apt-get", "-qq", "download", "opencv-doc"], cwd=folder, check=True)
    package = next(Path(folder).glob("opencv-doc*.deb"))
    subprocess.run(["dpkg-deb", "-x", package.name, "."], cwd=folder, check=True)
    return Path(folder) / VIDEO


def frames(video):
    """All frames as the model takes them: [N, 300, 300, 3], RGB in [-1, 1]."""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", str(video), "-vf",
                          f"scale={SIDE}:{SIDE}:flags=bilinear", "-f", "rawvideo", "-pix_fmt",
                          "rgb24", "-"], check=True, stdout=subprocess.PIPE).stdout
    pixels = np.frombuffer(raw, np.uint8).reshape(-1, SIDE, SIDE, 3)
    return pixels.astype(np.float32) / 127.5 - 1


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path)
    parser.add_argument("--package", help="the npm package if it is here already")
    parser.add_argument("--video", help="any video of the scene to calibrate on")
    parser.add_argument("--frames", type=int, default=32, help="to calibrate on, and to keep")
    args = parser.parse_args()
    args.target.mkdir(parents=True, exist_ok=True)
    stem = str(args.target / "ssd300")
    with tempfile.TemporaryDirectory() as folder:
        Path(stem + ".fp32.tflite").write_bytes(
            detector(args.package or fetch_package(folder)))
        video = frames(args.video or fetch_video(folder))
    # Every other picked frame calibrates; those between are for whoever compares the results.
    picked = video[np.linspace(0, len(video) - 1, 2 * args.frames).astype(int)]
    np.save(stem + ".frames.npy", picked[1::2])
    subprocess.run([sys.executable, "-m", "tf2onnx.convert", "--tflite", stem + ".fp32.tflite",
                    "--output", stem + ".fp32.onnx", "--opset", "17"], check=True,
                   stderr=subprocess.DEVNULL)
    import onnx
    name = onnx.load(stem + ".fp32.onnx").graph.input[0].name
    onnx_int8(stem + ".fp32.onnx", [{name: x[None]} for x in picked[::2]])
    return 0


if __name__ == "__main__":
    sys.exit(main())
