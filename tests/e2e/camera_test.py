#!/usr/bin/env python3
"""examples/camera on photographs, and what may leave: hidden parts of pictures, hashed fields."""

import base64
import hashlib
import json
import os
import shutil
import struct
import unittest
import zlib
from pathlib import Path

from edgewise import ROOT, EdgewiseTest
from media import write_avi

SIDE = 96
RATE = 4


def photograph(name):
    """Rows of (red, green, blue) of a PPM file."""
    body = (ROOT / f"tests/data/pictures/{name}.ppm").read_bytes()[-SIDE * SIDE * 3:]
    pixels = list(struct.iter_unpack("BBB", body))
    return [pixels[y * SIDE:(y + 1) * SIDE] for y in range(SIDE)]


def read_png(url):
    """Rows of (red, green, blue) of a data: URL as the agent writes it."""
    head, body = url.split(",")
    assert head == "data:image/png;base64"
    png = base64.b64decode(body, validate=True)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(png):
        size, = struct.unpack(">I", png[at:at + 4])
        name, data = png[at + 4:at + 8], png[at + 8:at + 8 + size]
        assert zlib.crc32(name + data) == struct.unpack(">I", png[at + 8 + size:at + 12 + size])[0]
        chunks[name] = data
        at += 12 + size
    width, height, bits, color = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (bits, color) == (8, 2)
    lines = zlib.decompress(chunks[b"IDAT"])
    rows, above = [], bytes(3 * width)
    for y in range(height):
        line = lines[y * (3 * width + 1):(y + 1) * (3 * width + 1)]
        assert line[0] == 2
        above = bytes((a + b) % 256 for a, b in zip(line[1:], above))
        rows.append(list(struct.iter_unpack("BBB", above)))
    return rows


class CameraTest(EdgewiseTest):
    def lines(self, app):
        done = self.run_edgewise("run", app, "--quiet")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_the_example_sees_who_comes_and_hides_the_window(self):
        for file in ("camera.yaml", "person.tflite", "person.txt"):
            shutil.copy(ROOT / "examples/camera" / file, self.folder / file)
        coffee, astronaut = photograph("coffee"), photograph("astronaut")
        write_avi(self.path("clip.avi"), [coffee] * 8 + [astronaut] * 12 + [coffee] * 8, RATE)
        app = Path(self.path("camera.yaml"))
        app.write_text(app.read_text().replace("url: 'rtsp://192.168.1.20/stream'", "path: clip.avi"))
        rows = self.lines("camera.yaml")
        alerts = [row for row in rows if "rule" in row]
        self.assertEqual([a["state"] for a in alerts], ["raised", "cleared"])
        self.assertEqual([a["ts"] for a in alerts], [3_000_000, 5_000_000])
        shown = [row for row in rows if "picture" in row]
        self.assertEqual([row["time"] for row in shown], [2, 2.5, 3, 3.5, 4, 4.5])
        picture = read_png(shown[0]["picture"])
        hidden = [picture[y][60:] for y in range(24)]
        self.assertLessEqual(len({pixel for row in hidden for pixel in row}), 24)
        for y in range(SIDE):
            self.assertEqual(picture[y][:60 if y < 24 else SIDE],
                             astronaut[y][:60 if y < 24 else SIDE])
        # Squares of six pixels have the mean colour of what was there.
        for channel in range(3):
            mean = sum(astronaut[y][60 + x][channel] for y in range(6) for x in range(6)) / 36
            self.assertAlmostEqual(picture[3][62][channel], mean, delta=0.51)
        ledger = self.run_json("ledger", "camera.yaml")
        self.assertEqual(ledger["redactions"]["shown"]["picture"], len(shown))

    def test_what_cannot_be_hidden_is_said(self):
        write_avi(self.path("clip.avi"), [photograph("coffee")], RATE)
        text = ("app: a\nsources:\n  door: {type: video, path: clip.avi, width: 96, height: 96}\n"
                "  other: {type: stdin}\nstreams:\n  seen: {from: %s, picture: {input: pixels%s}}\n"
                "sinks:\n  out: {type: stdout, from: seen}\n")
        for source, words, message in [
                ("door", ", hide: [person]", "hide: needs a model in this stream"),
                ("door", ", regions: [{left: 90, top: 0, width: 20, height: 5}]",
                 "regions: this one does not lie in a picture of 96x96"),
                ("door", ", how: blurred", "how"),
                ("other", "", "input: expected pictures, 'other' gives no 'pixels'")]:
            Path(self.path("app.yaml")).write_text(text % (source, words))
            done = self.run_edgewise("check", "app.yaml", expect=3)
            self.assertIn(message, done.stderr)


class HashingTest(EdgewiseTest):
    APP = ("app: a\nstate: state\n%ssources:\n  in: {type: file, path: in.jsonl}\n"
           "streams:\n  safe: {from: in, hash: [id, n]}\nsinks:\n  out: {type: stdout, from: safe}\n")

    def results(self, words):
        Path(self.path("app.yaml")).write_text(self.APP % words)
        shutil.rmtree(self.path("state"), ignore_errors=True)
        done = self.run_edgewise("run", "app.yaml", "--quiet")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def write_key(self, key):
        Path(self.path("key")).write_bytes(key)
        os.chmod(self.path("key"), 0o600)

    def test_pseudonyms_under_a_key_are_blake2b(self):
        Path(self.path("in.jsonl")).write_text('{"id":"Ada","n":7,"x":1}\n{"id":"Bob","n":7,"x":2}\n')
        key = bytes(range(32))
        self.write_key(key)
        rows = self.results("hashing: {key_file: key}\n")

        def expected(text):
            return hashlib.blake2b(text.encode(), digest_size=16, key=key).hexdigest()
        self.assertEqual([row["id"] for row in rows], [expected("Ada"), expected("Bob")])
        self.assertEqual([row["n"] for row in rows], [expected("7")] * 2)
        self.assertEqual([row["x"] for row in rows], [1, 2])
        self.assertEqual(self.run_json("ledger", "app.yaml")["redactions"]["safe"], {"id": 2, "n": 2})
        # Another key, other names; without one they are shorter.
        self.write_key(bytes(32))
        self.assertNotEqual(self.results("hashing: {key_file: key}\n")[0]["id"], expected("Ada"))
        self.assertEqual(len(self.results("")[0]["id"]), 16)

    def test_a_key_that_others_may_read_is_refused(self):
        Path(self.path("in.jsonl")).write_text("{}\n")
        Path(self.path("app.yaml")).write_text(self.APP % "hashing: {key_file: key}\n")
        done = self.run_edgewise("check", "app.yaml", expect=3)
        self.assertIn("key", done.stderr)
        self.write_key(bytes(32))
        os.chmod(self.path("key"), 0o644)
        done = self.run_edgewise("check", "app.yaml", expect=3)
        self.assertIn("app.yaml:3:21: key_file:", done.stderr)
        self.assertIn("others than its owner may read this key", done.stderr)


if __name__ == "__main__":
    unittest.main()
