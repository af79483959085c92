"""edgewise: help, JSON on stdout, and the exit codes of bad usage, bad input and a bad environment."""

import json
import unittest
from pathlib import Path

from edgewise import BASE_MODEL, FIXTURES, EdgewiseTest

VERBS = ("inspect", "convert", "predict", "evaluate", "train", "optimize")


class Arguments(EdgewiseTest):
    def test_every_verb_has_help_with_an_example(self):
        for verb in VERBS:
            with self.subTest(verb):
                text = self.run_edgewise(verb, "--help").stdout
                self.assertIn(f"Example: edgewise {verb} ", text)

    def test_version(self):
        self.assertRegex(self.run_edgewise("--version").stdout, r"^edgewise \d+\.\d+\.\d+\n$")

    def test_bad_usage_is_2(self):
        data = self.write_csv("d.csv", 60)
        out = ("-o", self.path("o.h5"))
        for arguments in (
            [],
            ["nosuch"],
            ["train", BASE_MODEL],
            ["train", BASE_MODEL, "--data", data, *out, "--batch-size", "0"],
            ["train", BASE_MODEL, "--data", data, *out, "--optimizer", "adamm"],
            ["train", BASE_MODEL, "--data", data, *out, "--loss", "nosuch"],
            ["train", BASE_MODEL, "--data", data, *out, "--lr-schedule", "ExponentialDecay("],
            ["optimize", BASE_MODEL, "--data", data, *out, "--prune", "1.5"],
            ["optimize", BASE_MODEL, "--data", data, *out, "--report", "r.pdf"],
            ["evaluate", BASE_MODEL, "--data", data + "?label=nosuch"],
            ["convert", BASE_MODEL, self.path("o.h5"), "--keras-version", "4"],
        ):
            with self.subTest(arguments):
                done = self.run_edgewise(*arguments, expect=2)
                self.assertNotEqual(done.stderr + done.stdout, "")
        self.assertEqual(self.names(), ["d.csv"])

    def test_a_typing_error_is_answered_with_the_nearest_name(self):
        data = self.write_csv("d.csv", 60)
        done = self.run_edgewise("train", BASE_MODEL, "--data", data, "-o", "o.h5", "--optimizer",
                                 "adamm", expect=2)
        self.assertIn("adam", done.stderr.lower().replace("adamm", ""))

    def test_bad_input_is_3_and_names_the_file(self):
        for name, content in (("empty.h5", b""), ("text.h5", b"not a model\n"),
                              ("cut.h5", BASE_MODEL.read_bytes()[:9000])):
            Path(self.path(name)).write_bytes(content)
            with self.subTest(name):
                self.assertIn(name, self.run_edgewise("inspect", self.path(name), expect=3).stderr)
        self.assertIn("nosuch.h5", self.run_edgewise("inspect", "nosuch.h5", expect=3).stderr)
        Path(self.path("bad.csv")).write_text("a,kind\n1,0\nx,1\n")
        done = self.run_edgewise("evaluate", BASE_MODEL, "--data", self.path("bad.csv"), expect=3)
        self.assertIn("bad.csv:3", done.stderr)
        done = self.run_edgewise("evaluate", BASE_MODEL, "--data", "nosuch.npz", expect=3)
        self.assertIn("nosuch.npz", done.stderr)

    def test_damaged_fixtures_are_refused(self):
        for name in ("corrupt_header.h5", "truncated.h5"):
            with self.subTest(name):
                done = self.run_edgewise("inspect", FIXTURES / "h5/h5py_variants" / name, expect=3)
                self.assertIn(name, done.stderr)

    def test_a_file_that_cannot_be_written_is_4(self):
        for target in ("nosuch/o.h5", "/proc/o.h5"):
            with self.subTest(target):
                self.run_edgewise("convert", BASE_MODEL, target, expect=4)

    def test_json_is_one_document_on_stdout(self):
        data = self.write_csv("d.csv", 100)
        x = self.write_npy("x.npy", 4)
        for arguments in (
            ["inspect", BASE_MODEL],
            ["convert", BASE_MODEL, "o.h5"],
            ["predict", BASE_MODEL, "--input", x, "--output", "y.npy"],
            ["evaluate", BASE_MODEL, "--data", data],
            ["train", BASE_MODEL, "--data", data, "-o", "t.h5", "--epochs", "2", "--log-steps"],
            ["optimize", BASE_MODEL, "--data", data, "-o", "p.h5", "--max-accuracy-drop", "1"],
        ):
            with self.subTest(arguments[0]):
                done = self.run_edgewise(*arguments, "--json", "--quiet")
                self.assertIsInstance(json.loads(done.stdout), dict)
                self.assertEqual(done.stderr, "")


if __name__ == "__main__":
    unittest.main()
