#!/usr/bin/env python3
"""The agent's source of pictures: video files, and the errors of those that are none."""

import json
import time
import unittest
from pathlib import Path

from edgewise import EdgewiseTest
from media import picture, write_avi

# What the operators of the engine say about the pixels.
APP = """
app: camera
state: state
sources:
  cam: {type: video, path: clip.avi%s}
streams:
  seen:
    from: cam
    features: {chain: "Statistics('mean,min,max')", input: pixels, output: [mean, low, high]}
sinks:
  out: {type: stdout, from: [seen]}
"""
WIDTH, HEIGHT, RATE, COUNT = 32, 16, 10, 30


def color(frame):
    """Of a picture that is all one colour."""
    return (8 * frame, 255 - 8 * frame, 40)


def luma(rgb):
    """ITU-R BT.601, full range."""
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]


class VideoTest(EdgewiseTest):
    def write(self, name, text):
        Path(self.path(name)).write_text(text)
        return name

    def write_clip(self, pictures=None):
        write_avi(self.path("clip.avi"), pictures or [
            picture(WIDTH, HEIGHT, lambda x, y, c=color(i): c) for i in range(COUNT)], RATE)

    def results(self, words="", *arguments):
        app = self.write("app.yaml", APP % words)
        done = self.run_edgewise("run", app, "--quiet", *arguments)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_every_picture_comes_once_with_its_time_and_pixels(self):
        self.write_clip()
        seen = self.results(f", width: {WIDTH}, height: {HEIGHT}")
        self.assertEqual([r["frame"] for r in seen], list(range(COUNT)))
        for i, row in enumerate(seen):
            self.assertAlmostEqual(row["time"], i / RATE, places=4)
            self.assertEqual((row["width"], row["height"]), (WIDTH, HEIGHT))
            self.assertAlmostEqual(row["mean"], sum(color(i)) / 3, delta=0.01)
            self.assertEqual((row["low"], row["high"]), (min(color(i)), max(color(i))))
        # Pictures do not leave.
        self.assertNotIn("pixels", seen[0])
        ledger = self.run_json("ledger", "app.yaml")
        self.assertEqual(ledger["sources"]["cam"]["cam"]["accepted"], COUNT)
        self.assertEqual(ledger["sources"]["cam"]["cam"]["delivered"], COUNT)
        self.assertGreater(ledger["input"]["cam"]["bytes"], COUNT * WIDTH * HEIGHT * 3)

    def test_a_recording_gives_the_same_results(self):
        self.write_clip()
        app = self.write("app.yaml", APP % f", width: {WIDTH}, height: {HEIGHT}")
        out = self.run_edgewise("run", app, "--quiet", "--record", "rec").stdout
        self.run_edgewise("replay", app, "--from", "rec", "--all", "--out", "all.jsonl")
        self.assertEqual(Path(self.path("all.jsonl")).read_text(), out)

    def test_every_takes_some_and_start_sets_the_clock(self):
        self.write_clip()
        seen = self.results(f", width: {WIDTH}, height: {HEIGHT}, every: 500ms, "
                            "start: '2026-11-28T20:00:00Z'")
        self.assertEqual([r["frame"] for r in seen], [0, 5, 10, 15, 20, 25])
        self.assertAlmostEqual(seen[1]["time"] - seen[0]["time"], 0.5, places=4)
        self.assertEqual(int(seen[0]["time"]), 1795896000)

    def test_gray_region_and_crop(self):
        # Left half dark, right half bright, one bright line above.
        def color_of(x, y):
            return (250, 250, 250) if y < 2 else (200, 100, 50) if x >= WIDTH // 2 else (10, 10, 10)
        self.write_clip([picture(WIDTH, HEIGHT, color_of)])
        gray = self.results(", width: 8, height: 8, color: gray, region: [16, 4, 16, 12]")[0]
        self.assertAlmostEqual(gray["mean"], luma((200, 100, 50)), delta=1.5)
        right = self.results(", width: 8, height: 8, region: [16, 4, 16, 12]")[0]
        self.assertEqual((right["low"], right["high"]), (50, 200))
        # The middle square has as much of both halves; all of it has the same mean.
        middle = self.results(", width: 16, height: 16, fit: crop, region: [0, 2, 32, 14]")[0]
        self.assertAlmostEqual(middle["mean"], (350 / 3 + 10) / 2, delta=3)
        self.assertEqual((right["width"], right["height"]), (WIDTH, HEIGHT))
        done = self.run_edgewise(
            "run", self.write("app.yaml", APP % ", width: 8, height: 8, region: [20, 0, 20, 8]"))
        self.assertIn("region [20, 0, 20, 8] does not lie in a picture of 32x16", done.stderr)

    def test_masked_parts_are_black_before_anything_sees_them(self):
        self.write_clip([picture(WIDTH, HEIGHT, lambda x, y: (200, 200, 200))])
        half = "mask: [{left: 0, top: 0, width: 16, height: 16}]"
        seen = self.results(f", width: {WIDTH}, height: {HEIGHT}, {half}")[0]
        self.assertAlmostEqual(seen["mean"], 100, delta=0.01)
        self.assertEqual((seen["low"], seen["high"]), (0, 200))
        # All of it: what a recording keeps holds nothing else either.
        whole = f"mask: [{{left: 0, top: 0, width: {WIDTH}, height: {HEIGHT}}}]"
        app = self.write("app.yaml", APP % f", width: {WIDTH}, height: {HEIGHT}, {whole}")
        self.run_edgewise("run", app, "--quiet", "--record", "rec")
        kept = b"".join(p.read_bytes() for p in Path(self.path("rec")).rglob("*") if p.is_file())
        self.assertIn(bytes(WIDTH * HEIGHT * 3), kept)
        self.assertNotIn(bytes([200] * 8), kept)
        for words, message in [
                ("width: 8, height: 8, " + half, "mask: this one does not lie in a picture of 8x8"),
                ("width: 8, height: 8, mask: [{left: 1}]", "'top'")]:
            done = self.run_edgewise("check", self.write("app.yaml", APP % (", " + words)), expect=3)
            self.assertIn(message, done.stderr)

    def test_pictures_that_come_too_fast_are_shed_and_counted(self):
        self.write_clip([picture(WIDTH, HEIGHT, lambda x, y: (1, 2, 3))] * 300)
        words = f", width: {WIDTH}, height: {HEIGHT}, late: drop_oldest, waiting: 1"
        seen = self.results(words)
        counts = self.run_json("ledger", "app.yaml")["sources"]["cam"]["cam"]
        self.assertEqual(counts["accepted"], 300)
        self.assertEqual(counts["delivered"], len(seen))
        self.assertEqual(counts["dropped"].get("overload", 0), 300 - len(seen))

    def test_its_own_pace(self):
        self.write_clip([picture(WIDTH, HEIGHT, lambda x, y: (1, 2, 3))] * 5)
        app = self.write("app.yaml", APP % f", width: {WIDTH}, height: {HEIGHT}, speed: 1")
        begin = time.monotonic()
        self.run_edgewise("run", app, "--quiet")
        self.assertGreaterEqual(time.monotonic() - begin, 0.4)

    def test_what_cannot_be_read_is_said(self):
        app = self.write("app.yaml", APP % ", width: 8, height: 8")
        done = self.run_edgewise("run", app, expect=3)
        self.assertIn("clip.avi: cannot open it: No such file or directory", done.stderr)
        self.write("clip.avi", "this is no video\n" * 100)
        done = self.run_edgewise("run", app, expect=3)
        self.assertIn("clip.avi: cannot open it: Invalid data", done.stderr)
        for words, message in [
                (", url: 'rtsp://x/'", "expected either path, url or device"),
                (", width: 8", "expected width and height, or none of them"),
                (", region: [1, 2]", "expected [left, top, width, height] in pixels"),
                (", format: csv", "a source of type video has none"),
                ("", "expected a source that says how many values it gives")]:
            done = self.run_edgewise("check", self.write("app.yaml", APP % words), expect=3)
            self.assertIn(message, done.stderr)

    def test_pixels_are_no_value_of_expressions(self):
        self.write_clip()
        app = self.write("app.yaml", APP.replace("from: cam\n", "from: cam\n    where: pixels > 3\n")
                         % ", width: 8, height: 8")
        self.assertIn("pixels", self.run_edgewise("check", app, expect=3).stderr)


if __name__ == "__main__":
    unittest.main()
