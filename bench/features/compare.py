#!/usr/bin/env python3
"""Microseconds of features over one second of 16 kHz audio: ours, librosa's, numpy's; one thread.

    pip install numpy==2.4.6 scipy==1.17.1 librosa==0.11.0
    bench/features/compare.py build/release/bin/features_bench [--cpu 1]

Prints the least time of each. numpy's column is the shortest program that computes the same: windows,
rfft, products with precomputed tables.
"""
import argparse
import os
import subprocess
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"
import librosa  # noqa: E402
import numpy as np  # noqa: E402
import scipy.fft  # noqa: E402
import scipy.signal  # noqa: E402
import scipy.stats  # noqa: E402

RATE = 16000


def least(f, seconds=2.0):
    f()
    best, end = 1e9, time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        f()
        best = min(best, time.perf_counter() - begin)
    return best * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench")
    parser.add_argument("--cpu", default="1")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {int(arguments.cpu)})
    x = np.random.default_rng(1).standard_normal(RATE).astype(np.float32)
    window = scipy.signal.get_window("hann", 480).astype(np.float32)
    mel = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=40).T.copy()
    dct = scipy.fft.dct(np.eye(40, dtype=np.float32), norm="ortho")[:, :13].copy()

    def log_mel():
        frames = np.lib.stride_tricks.sliding_window_view(x, 480)[::320] * window
        spectrum = scipy.fft.rfft(frames, 512)
        return np.log(np.maximum((spectrum.real ** 2 + spectrum.imag ** 2) @ mel, 1e-10))

    sos = scipy.signal.butter(4, [100, 4000], "band", fs=RATE, output="sos")

    def statistics():
        w = x.reshape(-1, 1000)
        rms = np.sqrt(np.mean(w * w, 1))
        return (w.mean(1), w.std(1), rms, np.abs(w).max(1) / rms, scipy.stats.skew(w, 1),
                scipy.stats.kurtosis(w, 1))

    rows = [
        ("log-mel", "LogMel(16000, 480, 320, 40, fft=512)", log_mel,
         lambda: np.log(librosa.feature.melspectrogram(y=x, sr=RATE, n_fft=512, win_length=480,
                                                       hop_length=320, n_mels=40, center=False)
                        + 1e-10)),
        ("MFCC", "Mfcc(16000, 480, 320, 40, 13, fft=512, log='ln')", lambda: log_mel() @ dct,
         lambda: librosa.feature.mfcc(y=x, sr=RATE, n_fft=512, win_length=480, hop_length=320,
                                      n_mels=40, n_mfcc=13, center=False)),
        ("spectrum of 16,000", "Spectrum()", lambda: np.abs(scipy.fft.rfft(x)), None),
        ("envelope spectrum", "EnvelopeSpectrum()",
         lambda: np.abs(scipy.fft.rfft(np.abs(scipy.signal.hilbert(x)))), None),
        ("Butterworth, 4 sections", "Butterworth(4, 100, 4000, 16000)",
         lambda: scipy.signal.sosfilt(sos, x), None),
        ("16 windows' statistics", "Frame(1000), Statistics('mean,std,rms,crest,skewness,kurtosis')",
         statistics, None),
    ]
    print("| feature | Edgewise us | numpy/scipy us | librosa us | against the best |")
    print("| --- | --- | --- | --- | --- |")
    for name, chain, plain, peer in rows:
        output = subprocess.run(["taskset", "-c", arguments.cpu, arguments.bench, chain, str(RATE)],
                                check=True, capture_output=True, text=True).stdout
        ours, theirs = float(output.split()[0]), least(plain)
        librosas = least(peer) if peer else None
        best = min(theirs, librosas or theirs)
        print(f"| {name} | {ours:.1f} | {theirs:.1f} | {librosas and round(librosas, 1) or ''} "
              f"| {best / ours:.1f}x |")


main()
