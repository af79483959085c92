"""edgewise bench: what it prints, and that a quantised model is measured too."""

import unittest

from edgewise import BASE_MODEL, EdgewiseTest


class Bench(EdgewiseTest):
    def test_json_has_the_four_figures(self):
        figures = self.run_json("bench", BASE_MODEL, "--batch-ms", 5)
        self.assertEqual(sorted(figures), ["first_result_ms", "median_us", "min_us", "rss_mb"])
        self.assertGreater(figures["min_us"], 0)
        self.assertLessEqual(figures["min_us"], figures["median_us"])
        # A process that starts, reads a file and runs once takes longer than the run.
        self.assertGreater(figures["first_result_ms"] * 1e3, figures["min_us"])
        self.assertGreater(figures["rss_mb"], 1)

    def test_the_profile_names_every_layer_and_its_products(self):
        done = self.run_edgewise("bench", BASE_MODEL, "--batch-ms", 5, "--profile", "--peak", 100)
        layers = [line.split() for line in done.stderr.splitlines()[1:]]
        dense = [line for line in layers if "dense" in line]
        self.assertTrue(dense, done.stderr)
        self.assertTrue(any(int(line[4]) > 0 for line in dense), done.stderr)
        self.assertIn("cold start", done.stdout)

    def test_engines_agree_on_a_quantised_model_to_the_bit(self):
        data = self.write_npz("data.npz", 300, 60)
        self.run_edgewise("optimize", BASE_MODEL, "--data", data, "-o", self.path("q.h5"),
                          "--max-accuracy-drop", 1)
        x = self.write_npy("x.npy", 50)
        results = []
        for engine in ("fast", "reference"):
            self.run_edgewise("predict", self.path("q.h5"), "--input", x, "--output",
                              self.path(f"{engine}.npy"), "--engine", engine)
            results.append((self.folder / f"{engine}.npy").read_bytes())
        self.assertEqual(results[0], results[1])
        self.assertGreater(self.run_json("bench", self.path("q.h5"), "--batch-ms", 5)["min_us"], 0)

    def test_a_missing_model_is_bad_input(self):
        self.run_edgewise("bench", "none.h5", expect=3)


if __name__ == "__main__":
    unittest.main()
