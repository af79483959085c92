"""TFLite models against what LiteRT's reference kernels and tflite-micro computed for them
(tests/tflite/README.md), read as they are and written back."""

import struct
import unittest
import zipfile
from pathlib import Path

from edgewise import ROOT, EdgewiseTest

FIXTURES = ROOT / "tests/tflite/fixtures"
# Of the largest output. The peers sum in float32, we in double or in another order.
FLOAT_TOLERANCE = 1e-5
# Read as operators that are not written: Fourier transforms, and what adds to a table.
NOT_WRITTEN = ("rfft2d_", "scatter_nd", "segment_")
PROFILES = {"litert": "litert-ref", "tflm": "tflm"}


def read_npy(data):
    """(dtype, shape text, values) of a .npy file's bytes."""
    (length,) = struct.unpack("<H", data[8:10])
    header = eval(data[10:10 + length].decode())  # a dictionary of literals, written by NumPy
    code = {"<f4": "f", "|i1": "b", "|u1": "B", "<i2": "h", "<i4": "i", "<i8": "q",
            "|b1": "?"}[header["descr"]]
    body = data[10 + length:]
    count = len(body) // struct.calcsize(code)
    return header["descr"], header["shape"], struct.unpack(f"<{count}{code}", body)


class TFLite(EdgewiseTest):
    def cases(self):
        for model in sorted(FIXTURES.glob("*.tflite")):
            with zipfile.ZipFile(model.with_suffix(".npz")) as file:
                yield model, {Path(n).stem: file.read(n) for n in file.namelist()}

    def predict(self, model, arrays, outputs, profile, engine):
        xs, ys = [], [self.path(f"y{i}.npy") for i in range(outputs)]
        for i in range(sum(name.startswith("x") for name in arrays)):
            xs.append(self.path(f"x{i}.npy"))
            Path(xs[-1]).write_bytes(arrays[f"x{i}"])
        self.run_edgewise("predict", model, "--input", *xs, "--output", *ys, "--int8-profile",
                          profile, "--engine", engine)
        return [Path(y).read_bytes() for y in ys]

    def compare(self, ours, theirs):
        dtype, shape, values = read_npy(theirs)
        found_dtype, found_shape, found = read_npy(ours)
        self.assertEqual((found_dtype, found_shape), (dtype, shape))
        if dtype != "<f4":
            self.assertEqual(found, values)
            return
        largest = max((abs(v) for v in values), default=0) or 1.0
        worst = max((abs(a - b) for a, b in zip(found, values)), default=0)
        self.assertLessEqual(worst / largest, FLOAT_TOLERANCE)

    def check(self, model, arrays, engines=("fast", "reference")):
        for peer, profile in PROFILES.items():
            outputs = sum(name.startswith(peer) for name in arrays)
            for engine in engines if outputs else ():
                ours = self.predict(model, arrays, outputs, profile, engine)
                for i, y in enumerate(ours):
                    self.compare(y, arrays[f"{peer}{i}"])

    def test_every_operator_gives_the_peers_outputs(self):
        seen = 0
        for model, arrays in self.cases():
            with self.subTest(model.stem):
                self.check(model, arrays)
            seen += 1
        self.assertGreater(seen, 150)

    def test_every_operator_written_back_gives_them_too(self):
        # The peers define a few operators differently, so a file is written for one of them.
        # Custom operators are read, not written.
        for model, arrays in self.cases():
            if model.stem.startswith("detection_"):
                continue
            for peer, profile in PROFILES.items():
                with self.subTest(f"{model.stem} for {peer}"):
                    if model.stem.startswith(NOT_WRITTEN):
                        continue
                    self.run_edgewise("convert", model, self.path("written.tflite"),
                                      "--int8-profile", profile)
                    some = {n: a for n, a in arrays.items() if n.startswith(("x", peer))}
                    self.check(self.path("written.tflite"), some, engines=("fast",))

    def test_axis_0_is_a_batch(self):
        model = FIXTURES / "conv_i8.tflite"
        with zipfile.ZipFile(model.with_suffix(".npz")) as file:
            one = file.read("x0.npy")
        _, shape, values = read_npy(one)
        header = one[:10] + one[10:128].replace(b"(1, 8,", b"(3, 8,")
        Path(self.path("x.npy")).write_bytes(header + struct.pack(f"{len(values)}b", *values) * 3)
        self.run_edgewise("predict", model, "--input", self.path("x.npy"), "--output",
                          self.path("y.npy"))
        _, shape, rows = read_npy(Path(self.path("y.npy")).read_bytes())
        self.assertEqual(shape[0], 3)
        self.assertEqual(rows[:len(rows) // 3], rows[len(rows) // 3:2 * len(rows) // 3])

    def test_a_model_inside_another_file_is_read_by_its_place(self):
        model = (FIXTURES / "conv_i8.tflite").read_bytes()
        Path(self.path("box.data")).write_bytes(b"x" * 184 + model + b"y" * 99)
        place = f"{self.path('box.data')}#offset=184,length={len(model)}"
        inside = self.run_json("inspect", place)
        self.assertEqual(inside["layers"],
                         self.run_json("inspect", FIXTURES / "conv_i8.tflite")["layers"])
        self.run_edgewise("inspect", self.path("box.data") + "#offset=184,length=999999", expect=2)
        self.run_edgewise("inspect", self.path("box.data") + "#begin=1", expect=2)

    def test_errors_name_the_operator_and_its_node(self):
        data = bytearray((FIXTURES / "relu_f32.tflite").read_bytes())
        # RELU (19) becomes LSH_PROJECTION (15), in both of the fields that hold the code.
        changed = bytes(data).replace(b"\x13", b"\x0f")
        Path(self.path("odd.tflite")).write_bytes(changed)
        done = self.run_edgewise("inspect", self.path("odd.tflite"), expect=3)
        self.assertIn("LSH_PROJECTION (node 0)", done.stderr)

    def test_a_truncated_file_is_damaged_not_a_crash(self):
        data = (FIXTURES / "conv_f32.tflite").read_bytes()
        for length in range(8, len(data), 37):
            Path(self.path("cut.tflite")).write_bytes(data[:length])
            done = self.run_edgewise("inspect", self.path("cut.tflite"), expect=3)
            self.assertIn("cut.tflite", done.stderr)


if __name__ == "__main__":
    unittest.main()
