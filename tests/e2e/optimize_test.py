"""edgewise optimize: the guard, the outputs and the report."""

import unittest
import xml.etree.ElementTree
from pathlib import Path

from edgewise import BASE_MODEL, EdgewiseTest


class Optimize(EdgewiseTest):
    def trained(self, data):
        self.run_edgewise("train", BASE_MODEL, "--data", data, "--epochs", 8, "-o",
                          self.path("trained.h5"))
        return self.path("trained.h5")

    def test_prunes_quantises_and_keeps_the_accuracy(self):
        data = self.write_npz("d.npz", 1200, 400)
        model = self.trained(data)
        report = self.run_json("optimize", model, "--data", data, "--prune", "0.5", "-o",
                               self.path("small.h5"), "--max-accuracy-drop", "0.05")
        self.assertTrue(report["accepted"])
        self.assertGreaterEqual(report["after"]["zero_fraction"], 0.45)
        self.assertLess(report["after"]["bytes"], report["before"]["bytes"])
        self.assertGreaterEqual(report["after"]["accuracy"], report["before"]["accuracy"] - 0.05)
        again = self.run_json("evaluate", self.path("small.h5"), "--data", data, "--loss",
                              "categorical_crossentropy", "--metrics", "accuracy")
        self.assertAlmostEqual(again["accuracy"], report["after"]["accuracy"], delta=0.01)

    def test_the_report_is_a_page_and_a_picture(self):
        data = self.write_npz("d.npz", 600, 200)
        self.run_edgewise("optimize", self.trained(data), "--data", data, "-o",
                          self.path("small.h5"), "--max-accuracy-drop", "1", "--report",
                          self.path("r.html"), "--report", self.path("r.svg"))
        picture = xml.etree.ElementTree.parse(self.path("r.svg")).getroot()
        self.assertTrue(picture.tag.endswith("svg"))
        page = Path(self.path("r.html")).read_text()
        self.assertIn("trained.h5 on d.npz", page)
        self.assertNotIn("href=", page)

    def test_a_bar_that_cannot_be_met_is_1_and_leaves_the_best_seen_beside(self):
        data = self.write_npz("d.npz", 600, 200)
        done = self.run_edgewise("optimize", self.trained(data), "--data", data, "-o",
                                 self.path("small.h5"), "--prune", "0.97", "--min-prune", "0.97",
                                 "--fine-tune-epochs", "0", "--max-accuracy-drop", "0", expect=1)
        self.assertIn("--max-accuracy-drop", done.stderr)
        self.assertFalse(Path(self.path("small.h5")).exists())
        self.run_edgewise("inspect", self.path("small.rejected.h5"))


if __name__ == "__main__":
    unittest.main()
