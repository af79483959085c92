#!/usr/bin/env python3
"""Writes keras/: configs of STFTSpectrogram and MelSpectrogram, inputs, weights, Keras' outputs.

    pip install keras==3.15.1 tensorflow==2.21.0 scipy
    tests/signal/make_keras_fixtures.py [FOLDER]
"""
import json
import os
import sys
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
import keras  # noqa: E402
import numpy as np  # noqa: E402

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "keras")
RNG = np.random.default_rng(31)


def case(name, layer, x):
    y = np.asarray(layer(x))
    config = {k: v for k, v in layer.get_config().items() if k != "dtype"}
    text = json.dumps({"class_name": type(layer).__name__, "config": config})
    (ROOT / f"{name}.json").write_text(text + "\n")
    np.save(ROOT / f"{name}.x.npy", x)
    np.save(ROOT / f"{name}.y.npy", y)
    for w in layer.weights:
        np.save(ROOT / f"{name}.{w.name}.npy", np.asarray(w))


def main():
    ROOT.mkdir(parents=True, exist_ok=True)
    x = RNG.standard_normal((2, 100, 2)).astype(np.float32)
    for mode in ("log", "magnitude", "psd", "real", "imag", "stft"):
        case(f"stft_{mode}", keras.layers.STFTSpectrogram(mode=mode, frame_length=20, frame_step=8), x)
    case("stft_same_expanded", keras.layers.STFTSpectrogram(
        mode="magnitude", frame_length=20, frame_step=10, fft_length=32, padding="same",
        window="hamming", scaling="spectrum", expand_dims=True), x)
    case("stft_first", keras.layers.STFTSpectrogram(
        frame_length=16, data_format="channels_first"), np.moveaxis(x, 1, 2).copy())
    audio = RNG.standard_normal((2, 900)).astype(np.float32)
    case("mel", keras.layers.MelSpectrogram(fft_length=256, sequence_stride=100, num_mel_bins=20,
                                            sampling_rate=8000, min_freq=60), audio)
    case("mel_short_window", keras.layers.MelSpectrogram(
        fft_length=256, sequence_length=200, sequence_stride=64, num_mel_bins=16, window="hamming",
        mag_exp=1.0, power_to_db=False, max_freq=7000), audio)
    case("mel_range", keras.layers.MelSpectrogram(
        fft_length=128, sequence_stride=128, num_mel_bins=10, mag_exp=3.0, top_db=20.0,
        ref_power=2.0), audio)


main()
