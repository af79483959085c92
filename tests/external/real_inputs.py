"""Recorded inputs of the MLPerf Tiny models, made as the benchmark makes them.

`real_inputs(model, data)` gives what the audio and images below `data` hold for a model of that file
name, [N, ...] in the model's own dtype, or None. The features follow the benchmark's definitions
(mlcommons/tiny, benchmark/training); `labels` gives the classes where they are known.
"""
import csv
import wave

import numpy as np

try:
    from PIL import Image
except ImportError:  # only images need it
    Image = None


def read_wav(path):
    """The first channel of a 16-bit .wav, in [-1, 1)."""
    with wave.open(str(path)) as f:
        raw = np.frombuffer(f.readframes(f.getnframes()), "<i2").reshape(-1, f.getnchannels())
    return raw[:, 0].astype(np.float64) / 32768


def power_frames(x, window, hop):
    """|STFT|^2: [frames, bins]."""
    count = 1 + (len(x) - len(window)) // hop
    at = np.arange(len(window))[None] + hop * np.arange(count)[:, None]
    return np.abs(np.fft.rfft(x[at] * window)) ** 2


def triangles(edges, bins):
    """Triangular filters over `bins` between three neighbours of `edges`: [bins, len(edges) - 2]."""
    low, mid, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - low) / (mid - low)
    falling = (high - bins[:, None]) / (high - mid)
    return np.maximum(0, np.minimum(rising, falling))


def slaney_mel(hz):
    """Slaney's scale: linear below 1 kHz, logarithmic above."""
    hz = np.asarray(hz, float)
    return np.where(hz < 1000, hz * 3 / 200, 15 + 27 * np.log(np.maximum(hz, 1) / 1000) / np.log(6.4))


def slaney_hz(mel):
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15)))


def toycar_spectrogram(path):
    """log mel spectrogram as librosa's melspectrogram(n_fft=1024, hop_length=512, n_mels=128) with
    power 2 gives it, in dB: [frames, 128]."""
    x = np.pad(read_wav(path), 512)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    edges = slaney_hz(np.linspace(0, slaney_mel(8000.0), 130))
    filters = triangles(edges, np.linspace(0, 8000, 513)) * (2 / (edges[2:] - edges[:-2]))
    return 10 * np.log10(power_frames(x, hann, 512) @ filters + np.finfo(float).eps)


def toycar_vectors(path):
    """Five neighbouring frames each, of the middle 200: [196, 640]."""
    frames = toycar_spectrogram(path)[50:250]
    return np.concatenate([frames[i:i + 196] for i in range(5)], 1).astype(np.float32)


def wakeword_features(x):
    """Log mel energies of one second scaled to [0, 1]: [30, 1, 40]."""
    x = x / max(np.abs(x).max(), 1e-9)
    x = np.append(x, np.zeros(max(0, 16000 - len(x))))[:16000]
    x = np.append(x[0], x[1:] - (1 - 2 ** -5) * x[:-1])
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(1024) / 1023)
    power = power_frames(x, window, 512) / 1024

    def mel(hz):
        return 1127 * np.log1p(hz / 700)
    filters = triangles(np.linspace(0, mel(8000.0), 42), mel(np.linspace(0, 8000, 513)))
    log = 10 * np.log10(np.maximum(power @ filters, 1e-30))
    return np.clip((log + 52) / 64, 0, 1)[:, None].astype(np.float32)


def wakeword_windows(data):
    """Every quarter of a second of all speech below `data`: [N, 30, 1, 40]."""
    clips = []
    for path in sorted([*data.glob("audio/wakeword/*.wav"), *data.glob("audio/speech/*.wav")]):
        x = read_wav(path)
        clips += [x[s:s + 16000] for s in range(0, max(1, len(x) - 15999), 4000)]
    return np.stack([wakeword_features(x) for x in clips]) if clips else None


def image_crops(data, side):
    """Square parts of the photographs at several places and sizes: [N, side, side, 3] in 0..255."""
    if Image is None:
        return None
    crops = []
    for path in sorted([*data.glob("vision/images/*.png"), *data.glob("vision/images/*.jpg")]):
        image = Image.open(path).convert("RGB")
        for part in (1, 2, 3, 4):
            size = min(image.size) // part
            for x in np.linspace(0, image.width - size, 2 + part).astype(int):
                for y in np.linspace(0, image.height - size, part).astype(int):
                    box = (int(x), int(y), int(x) + size, int(y) + size)
                    crops.append(np.asarray(image.resize((side, side), Image.BILINEAR, box)))
    return np.stack(crops).astype(np.float32) if crops else None


def keyword_files(data):
    return sorted(data.glob("audio/kws01_mlperf_tiny/tst_*.bin"))


def labels(data):
    """The class of every keyword recording, in the order of real_inputs()."""
    with open(data / "audio/kws01_mlperf_tiny/y_labels.csv", encoding="utf-8", newline="") as f:
        known = {row[0].strip(): int(row[2]) for row in csv.reader(f)}
    return np.array([known[path.name] for path in keyword_files(data)])


def quantised(x, detail):
    """Real values in the dtype of a model's input."""
    if detail["dtype"] != np.int8 or x.dtype == np.int8:
        return x
    scale, zero = detail["quantization"]
    return np.clip(np.round(x / scale) + zero, -128, 127).astype(np.int8)


def real_inputs(model, data, detail):
    """Recorded inputs of the MLPerf Tiny model of that file name; `detail` is its input as LiteRT
    describes it. None where there are none."""
    name, x = model.name, None
    if name.startswith("kws"):
        files = keyword_files(data)
        if files:
            x = np.stack([np.fromfile(f, np.int8).reshape(49, 10, 1) for f in files])
            if detail["dtype"] != np.int8:  # the recordings are quantised for the int8 model
                x = ((x.astype(np.float32) - 83) * 0.584703).astype(np.float32)
    elif name.startswith("ad01"):
        files = sorted(data.glob("audio/toycar/*.wav"))
        if files:
            x = np.concatenate([toycar_vectors(f) for f in files])
    elif name.startswith("str_ww"):
        x = wakeword_windows(data)
    elif name.startswith("vww"):
        x = image_crops(data, 96)
        x = None if x is None else x / np.float32(255)
    elif name.startswith("pretrainedResnet"):
        x = image_crops(data, 32)
    return None if x is None else quantised(x, detail)
