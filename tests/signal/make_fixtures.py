#!/usr/bin/env python3
"""Writes fixtures/: feature chains, inputs, and what scipy, numpy and librosa compute from them.

    pip install numpy==2.4.6 scipy==1.17.1 librosa==0.11.0
    tests/signal/make_fixtures.py [FOLDER]

NAME.txt is the chain (docs/guide/features.md) and, on its second line, the largest difference
allowed as a share of the largest |output|; NAME.x.npy the input [N, ...], float32; NAME.y.npy the
peer's output, computed in float64 from the float32 input. Shares: 1e-6 where a handful of float32
roundings meet (24 bits hold 6e-8); 1e-5 behind sums over hundreds of products, logarithms of small
numbers, recursions, and places between elements, which resize works out in float32.
"""
import sys
from pathlib import Path

import librosa
import numpy as np
import scipy.fft
import scipy.signal
import scipy.stats

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "fixtures")
RNG = np.random.default_rng(11)
RATE = 16000


def noise(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def tones(n, *hertz, rate=RATE):
    t = np.arange(n) / rate
    x = sum(np.sin(2 * np.pi * f * t + i) / (i + 1) for i, f in enumerate(hertz))
    return (x + 0.01 * RNG.standard_normal(n)).astype(np.float32)


def case(name, chain, share, x, f):
    """Writes one case; f works on one sample in float64."""
    y = np.stack([np.asarray(f(row.astype(np.float64))) for row in x])
    (ROOT / f"{name}.txt").write_text(f"{chain}\n{share}\n")
    np.save(ROOT / f"{name}.x.npy", x)
    np.save(ROOT / f"{name}.y.npy", y.astype(np.float64))


def stft(x, frame, hop, fft, window="hann", center=False):
    w = scipy.signal.get_window(window, frame)
    if center:
        x = np.pad(x, fft // 2)
    count = 1 + (len(x) - frame) // hop
    frames = np.stack([x[i * hop:i * hop + frame] * w for i in range(count)])
    return np.fft.rfft(frames, fft)


def statistics(x):
    q = np.quantile(x, [0.05, 0.25, 0.5, 0.75, 0.975])
    rms, peak, mean = np.sqrt(np.mean(x * x)), np.max(np.abs(x)), np.mean(np.abs(x))
    zero = librosa.feature.zero_crossing_rate(x, frame_length=len(x), hop_length=len(x),
                                              center=False)[0, 0]
    return [x.mean(), x.var(), x.std(), x.min(), x.max(), np.ptp(x), peak, mean, np.sum(x * x), rms,
            peak / rms, rms / mean, peak / mean, scipy.stats.skew(x), scipy.stats.kurtosis(x), zero,
            q[2], q[3] - q[1], q[0], q[4]]


def bands(x, rate, edges):
    power = np.abs(np.fft.fft(x)) ** 2 / len(x) ** 2
    f = np.abs(np.fft.fftfreq(len(x), 1 / rate))
    return [power[(f >= a) & (f < b)].sum() for a, b in zip(edges, edges[1:])]


def envelope_spectrum(x):
    e = np.abs(scipy.signal.hilbert(x))
    return 2 * np.abs(np.fft.rfft(e - e.mean())) / len(x)


def main():
    ROOT.mkdir(parents=True, exist_ok=True)
    for n in (128, 100, 81, 37, 97):  # powers, mixed radices, primes
        case(f"spectrum_{n}", "Spectrum()", 1e-6, noise(3, n), lambda x: np.abs(np.fft.rfft(x)))
    case("spectrum_padded", "Spectrum(length=64, output='power')", 1e-6, noise(2, 50),
         lambda x: np.abs(np.fft.rfft(x, 64)) ** 2)
    for kind in ("hann", "hamming", "blackman", "bartlett"):
        case(f"window_{kind}", f"Window('{kind}')", 1e-6, noise(1, 33),
             lambda x, k=kind: x * scipy.signal.get_window(k, len(x)))
        case(f"window_{kind}_symmetric", f"Window('{kind}', periodic=False)", 1e-6, noise(1, 33),
             lambda x, k=kind: x * scipy.signal.get_window(k, len(x), fftbins=False))
    audio = np.stack([tones(2400, 440, 1250, 3900), tones(2400, 200, 7000)])
    case("stft", "Stft(frame=400, hop=160, fft=512, window='hamming')", 1e-6, audio,
         lambda x: np.abs(stft(x, 400, 160, 512, "hamming")))
    for scale, htk in (("slaney", False), ("htk", True)):
        for norm in (True, False):
            filters = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=40, fmin=20, fmax=7600, htk=htk,
                                          norm="slaney" if norm else None, dtype=np.float64)
            case(f"mel_{scale}_{'area' if norm else 'peak'}",
                 f"Stft(480, 320, 512, output='power'), Mel(rate=16000, mels=40, low=20, high=7600, "
                 f"scale='{scale}', area_norm={norm})", 1e-6, audio,
                 lambda x, m=filters: np.abs(stft(x, 480, 320, 512)) ** 2 @ m.T)
    case("log_mel_librosa", "LogMel(rate=16000, frame=512, hop=160, mels=40, center=True, log='db', "
         "range=80), SwapAxes()", 1e-5, audio,
         lambda x: librosa.power_to_db(librosa.feature.melspectrogram(
             y=x, sr=RATE, n_fft=512, hop_length=160, n_mels=40)))
    case("mfcc_librosa", "Mfcc(rate=16000, frame=512, hop=160, mels=40, count=13, center=True), "
         "SwapAxes()", 1e-5, audio,
         lambda x: librosa.feature.mfcc(y=x, sr=RATE, n_mfcc=13, n_fft=512, hop_length=160,
                                        n_mels=40))
    case("dct", "Dct(count=9)", 1e-6, noise(2, 3, 20),
         lambda x: scipy.fft.dct(x, norm="ortho")[..., :9])
    case("dct_plain", "Dct(orthonormal=False)", 1e-6, noise(2, 20), scipy.fft.dct)
    names = ("mean,var,std,min,max,range,peak,abs_mean,energy,rms,crest,shape,impulse,skewness,"
             "kurtosis,zero_crossings,median,iqr,q5,q97.5")
    case("statistics", f"Statistics('{names}')", 1e-6, noise(4, 250) + 0.2, statistics)
    case("bands", "Bands(rate=1000, edges=[0, 50, 100, 250, 500.1])", 1e-6, noise(2, 200),
         lambda x: bands(x, 1000, [0, 50, 100, 250, 500.1]))
    for n in (256, 255):
        case(f"envelope_{n}", "Envelope()", 1e-6, noise(2, n),
             lambda x: np.abs(scipy.signal.hilbert(x)))
    case("envelope_spectrum", "EnvelopeSpectrum()", 1e-5, noise(2, 500), envelope_spectrum)
    sos = scipy.signal.butter(4, [0.1, 0.3], "band", output="sos")
    case("biquad", f"Biquad(sections={np.round(sos, 9).ravel().tolist()})", 1e-6, noise(2, 400),
         lambda x: scipy.signal.sosfilt(np.round(sos, 9), x))
    for name, args, kind, edges in (("low", "high=50", "low", 50), ("high", "low=120", "high", 120),
                                    ("band", "low=40, high=130", "band", (40, 130))):
        for order in (1, 2, 5):
            case(f"butterworth_{name}_{order}", f"Butterworth(order={order}, {args}, rate=500)", 1e-5,
                 noise(1, 300), lambda x, k=kind, e=edges, o=order: scipy.signal.sosfilt(
                     scipy.signal.butter(o, e, k, fs=500, output="sos"), x))
    taps = np.round(scipy.signal.firwin(21, 0.3), 9)
    case("fir", f"Fir(taps={taps.tolist()})", 1e-6, noise(2, 3, 150),
         lambda x: scipy.signal.lfilter(taps, 1, x))
    for up, down in ((1, 2), (3, 1), (2, 3), (147, 160), (4, 6)):
        case(f"resample_{up}_{down}", f"Resample(up={up}, down={down})", 1e-5, noise(1, 2, 320),
             lambda x, u=up, d=down: scipy.signal.resample_poly(x, u, d, axis=-1))
    case("interpolate", "Interpolate(size=50)", 1e-5, noise(2, 31),
         lambda x: np.interp(np.linspace(0, 30, 50), np.arange(31), x))
    case("detrend", "Detrend()", 1e-6, noise(2, 3, 77) + np.arange(77, dtype=np.float32) / 9,
         scipy.signal.detrend)
    case("detrend_constant", "Detrend('constant')", 1e-6, noise(2, 77) + 3,
         lambda x: scipy.signal.detrend(x, type="constant"))
    case("difference", "Difference(order=2)", 1e-6, noise(2, 20), lambda x: np.diff(x, 2))
    case("z_score", "ZScore()", 1e-6, noise(2, 3, 40) * 3 + 2,
         lambda x: scipy.stats.zscore(x, axis=-1))
    case("min_max", "MinMax()", 1e-6, noise(2, 40),
         lambda x: (x - x.min()) / (x.max() - x.min()))
    case("channels", "SwapAxes(), Frame(length=20, step=10, window='hann'), "
         "Statistics('rms, q90'), Flatten()", 1e-6, noise(2, 60, 3),
         lambda x: np.stack([[np.sqrt(np.mean(w * w)), np.quantile(w, 0.9)] for c in x.T
                             for i in range(5)
                             for w in [c[10 * i:10 * i + 20] * scipy.signal.get_window("hann", 20)]]
                            ).ravel())


main()
