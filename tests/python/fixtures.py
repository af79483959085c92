"""What the tests share: recorded runs of Keras, and a folder for files."""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
FITS = ROOT / "tests" / "oracle" / "fixtures" / "fit"


class Recorded:
    """One recorded run of Keras' fit() (tests/oracle/README.md)."""

    def __init__(self, name):
        self.folder = FITS / name
        self.case = json.loads((self.folder / "case.json").read_text())
        self.base = self.folder / self.case["base"]
        self.x = np.load(self.folder / "x.npy")
        self.y = np.load(self.folder / "y.npy")

    def array(self, name):
        path = self.folder / name
        return np.load(path) if path.exists() else None


def striped_pictures(rows, seed):
    """Ten kinds of noisy 8x8 pictures: a bright bar whose place tells the class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 10, rows)
    x = rng.random((rows, 8, 8, 1), dtype="float32") * 0.3
    for row, label in zip(x, y):
        if label < 5:
            row[label + 1] += 0.7
        else:
            row[:, label - 4] += 0.7
    return x, y


class FolderTest(unittest.TestCase):
    """A test case with a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
