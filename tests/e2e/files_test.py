"""edgewise inspect, convert, predict: files in, files out, the same results."""

import json
import struct
import unittest
from pathlib import Path

from edgewise import BASE_MODEL, FIXTURES, EdgewiseTest


class Files(EdgewiseTest):
    def test_a_model_predicts_the_same_in_every_format_and_layout(self):
        expected = self.predictions(BASE_MODEL)
        self.run_edgewise("convert", BASE_MODEL, self.path("a.keras"))
        self.run_edgewise("convert", self.path("a.keras"), self.path("b.h5"))
        for version in ("both", "2", "3"):
            self.run_edgewise("convert", BASE_MODEL, self.path(f"v{version}.h5"),
                              "--keras-version", version)
        for name in ("a.keras", "b.h5", "vboth.h5", "v2.h5", "v3.h5"):
            with self.subTest(name):
                self.assertEqual(self.predictions(self.path(name)), expected)

    def test_converting_twice_gives_the_same_bytes(self):
        for name in ("a.h5", "b.h5", "a.keras", "b.keras"):
            self.run_edgewise("convert", BASE_MODEL, self.path(name))
        for suffix in ("h5", "keras"):
            self.assertEqual(Path(self.path(f"a.{suffix}")).read_bytes(),
                             Path(self.path(f"b.{suffix}")).read_bytes())

    def test_both_engines_predict_alike(self):
        x = self.write_npy("x.npy", 50)
        for engine in ("fast", "reference"):
            self.run_edgewise("predict", BASE_MODEL, "--input", x, "--output",
                              self.path(f"{engine}.npy"), "--engine", engine)
        fast, reference = (self.floats(f"{e}.npy") for e in ("fast", "reference"))
        self.assertEqual(len(fast), 50 * 4)
        for a, b in zip(fast, reference):
            self.assertAlmostEqual(a, b, delta=1e-6)

    def floats(self, name):
        data = Path(self.path(name)).read_bytes()
        start = 10 + struct.unpack("<H", data[8:10])[0]
        return struct.unpack(f"<{(len(data) - start) // 4}f", data[start:])

    def test_inspect_tells_layers_and_parameters(self):
        facts = self.run_json("inspect", BASE_MODEL)
        text = self.run_edgewise("inspect", BASE_MODEL).stdout
        self.assertIn("dense", json.dumps(facts))
        self.assertIn("dense", text)

    def test_every_compiled_fixture_can_be_inspected(self):
        for case in sorted((FIXTURES / "fit").iterdir()):
            for file in case.glob("*.h5"):
                with self.subTest(f"{case.name}/{file.name}"):
                    self.run_edgewise("inspect", file)

    def test_an_unknown_suffix_is_refused_before_anything_is_written(self):
        done = self.run_edgewise("convert", BASE_MODEL, self.path("o.xyz"), expect=2)
        self.assertIn(".keras", done.stderr)
        self.assertEqual(self.names(), [])


if __name__ == "__main__":
    unittest.main()
