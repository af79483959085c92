"""ew.optimize: fine-tune, prune, quantise, measure."""

import unittest

import edgewise as ew
import numpy as np
from fixtures import ROOT, FolderTest, striped_pictures


class Optimize(FolderTest):
    def setUp(self):
        super().setUp()
        self.model = ew.load_model(ROOT / "bench/snippet/base_model.h5")
        self.model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        x, y = striped_pictures(600, 1)
        self.data = ew.Data.from_arrays(x, y, validation_split=0.2).with_test(
            *striped_pictures(200, 2))
        self.model.fit(self.data, epochs=4, verbose=0)

    def test_prunes_and_quantises_within_the_limit(self):
        stages = []
        steps = []
        optimized = ew.optimize(self.model, self.data, quantize=ew.Int8(), prune=ew.Magnitude(0.5),
                                max_accuracy_drop=0.1, fine_tune_epochs=2,
                                on_stage=stages.append,
                                on_progress=lambda *args: steps.append(args[1]))
        report = optimized.report
        self.assertTrue(report.accepted)
        self.assertGreaterEqual(report.after.accuracy, report.before.accuracy - 0.1)
        self.assertGreater(report.after.zero_fraction, 0.45)
        self.assertLess(report.after.bytes * 3, report.before.bytes)
        self.assertTrue(any(layer.dtype == "int8" for layer in report.layers))
        self.assertIn("accuracy", report.to_json())
        self.assertTrue(str(report))
        self.assertTrue(stages)
        self.assertTrue(steps)
        ew.save(optimized, self.folder / "optimized_model.h5")
        again = ew.load_model(self.folder / "optimized_model.h5")
        x, _ = striped_pictures(50, 3)
        np.testing.assert_array_equal(again.predict(x), optimized.model.predict(x))

    def test_a_rejected_model_is_not_saved_by_accident(self):
        optimized = ew.optimize(self.model, self.data, quantize=None, prune=0.99, min_prune=0.99,
                                max_accuracy_drop=0.0, fine_tune_epochs=0)
        self.assertFalse(optimized.report.accepted)
        with self.assertRaises(ew.Error) as caught:
            ew.save(optimized, self.folder / "optimized_model.h5")
        self.assertEqual(caught.exception.code, "bar_not_met")
        self.assertFalse((self.folder / "optimized_model.h5").exists())

    def test_an_exception_in_a_callback_comes_back(self):
        def fail(stage):
            raise ZeroDivisionError(stage)

        with self.assertRaises(ZeroDivisionError):
            ew.optimize(self.model, self.data, on_stage=fail)


if __name__ == "__main__":
    unittest.main()
