"""Keras' words: every class of ours is understood natively; a Keras program runs."""

import json
import subprocess
import sys
import unittest

import edgewise as ew
import numpy as np
from edgewise import keras
from edgewise._calls import Call, render
from edgewise.keras import losses, metrics, optimizers
from edgewise.keras.optimizers import schedules
from fixtures import ROOT, FolderTest, Recorded

#: Arguments that a class cannot do without.
NEEDED = {
    "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9},
    "InverseTimeDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9},
    "PiecewiseConstantDecay": {"boundaries": [5, 10], "values": [0.1, 0.01, 0.001]},
    "PolynomialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10},
    "CosineDecay": {"initial_learning_rate": 0.1, "decay_steps": 10},
    "CosineDecayRestarts": {"initial_learning_rate": 0.1, "first_decay_steps": 10},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "IoU": {"num_classes": 4, "target_class_ids": [0, 1], "sparse_y_true": False,
            "sparse_y_pred": False},
    "BinaryIoU": {},
    "MeanIoU": {"num_classes": 4, "sparse_y_true": False, "sparse_y_pred": False},
    "OneHotIoU": {"num_classes": 4, "target_class_ids": [0, 1]},
    "OneHotMeanIoU": {"num_classes": 4},
}


def classes_of(module, base):
    """The classes of a module that stand for one of Keras'."""
    found = [c for c in vars(module).values()
             if isinstance(c, type) and issubclass(c, base) and c is not base]
    assert len(found) > 5
    return found


def make(cls):
    return cls(**NEEDED.get(cls.__name__, {}))


class Words(unittest.TestCase):
    def setUp(self):
        self.model = ew.load_model(Recorded("fit_plain_k3").base)

    def compile(self, **options):
        self.model.compile(**{"loss": "categorical_crossentropy", **options})

    def test_every_optimizer_compiles(self):
        for cls in classes_of(optimizers, optimizers.Optimizer):
            with self.subTest(cls.__name__):
                self.compile(optimizer=cls())
                self.compile(optimizer=cls(learning_rate=0.02))

    def test_every_schedule_compiles(self):
        for cls in classes_of(schedules, schedules.LearningRateSchedule):
            with self.subTest(cls.__name__):
                self.compile(optimizer=optimizers.SGD(learning_rate=make(cls)))

    def test_every_loss_compiles(self):
        for cls in classes_of(losses, losses.Loss):
            with self.subTest(cls.__name__):
                self.compile(loss=make(cls))
        for name, word in vars(losses).items():
            if isinstance(word, str) and not name.startswith("_"):
                with self.subTest(name):
                    self.compile(loss=word)

    def test_every_metric_compiles(self):
        for cls in classes_of(metrics, metrics.Metric):
            with self.subTest(cls.__name__):
                self.compile(metrics=[make(cls), "accuracy"])

    def test_parameters_are_those_of_the_native_calls(self):
        # Each is given a value of the wrong kind: an unknown name would be told before that.
        for module, base in ((optimizers, optimizers.Optimizer), (losses, losses.Loss)):
            for cls in classes_of(module, base):
                for parameter in cls.parameters.split():
                    key = "optimizer" if module is optimizers else "loss"
                    try:
                        self.compile(**{key: cls(**{parameter: None})})
                    except ew.Error as error:
                        self.assertNotIn("unknown", str(error), f"{cls.__name__}.{parameter}")


class Calls(unittest.TestCase):
    def test_objects_are_written_as_calls(self):
        adam = optimizers.Adam(schedules.ExponentialDecay(0.01, 10000, decay_rate=0.9), beta_2=0.5)
        self.assertEqual(render(adam), "Adam(learning_rate=ExponentialDecay(initial_learning_rate="
                                       "0.01, decay_steps=10000, decay_rate=0.9), beta_2=0.5)")
        self.assertEqual(adam.beta_2, 0.5)
        self.assertEqual(optimizers.SGD.from_config({"momentum": 0.9}).get_config(),
                         {"momentum": 0.9})
        self.assertEqual(render(schedules.PiecewiseConstantDecay([5], (np.float32(0.5), 1e-7))),
                         "PiecewiseConstantDecay(boundaries=[5], values=[0.5, 1e-07])")

    def test_wrong_arguments_are_told_at_once(self):
        for arguments, options in (((), {"learning_rat": 1}), ((1,), {"learning_rate": 1}),
                                   (range(30), {})):
            with self.assertRaises(TypeError):
                optimizers.Adam(*arguments, **options)
        with self.assertRaises(AttributeError):
            optimizers.Adam().learning_rate = 0.5
        for value in (float("nan"), object(), "it's \"both\""):
            with self.assertRaises((TypeError, ValueError)):
                render(value)

    def test_python_code_of_ones_own_is_refused(self):
        class Warmup(schedules.LearningRateSchedule):
            def __init__(self):
                pass

            def __call__(self, step):
                return 0.1

        with self.assertRaisesRegex(TypeError, "Warmup"):
            render(optimizers.Adam(learning_rate=Warmup()))
        self.assertIsInstance(optimizers.Adam(), Call)


class Utils(unittest.TestCase):
    def test_to_categorical(self):
        np.testing.assert_array_equal(keras.utils.to_categorical([[2], [0]]), [[0, 0, 1], [1, 0, 0]])
        self.assertEqual(keras.utils.to_categorical(np.zeros((2, 3)), 5).shape, (2, 3, 5))

    def test_a_seed_repeats_a_run(self):
        run = Recorded("fit_plain_k3")
        losses_seen = []
        for seed in (1, 1, 2):
            keras.utils.set_random_seed(seed)
            model = ew.load_model(run.base)
            losses_seen.append(model.fit(run.x, run.y, verbose=0).history["loss"])
        self.assertEqual(losses_seen[0], losses_seen[1])
        self.assertNotEqual(losses_seen[0], losses_seen[2])


class Program(FolderTest):
    def test_a_keras_program_runs_with_its_imports_changed(self):
        rng = np.random.default_rng(0)
        y = rng.integers(0, 10, 100)
        x = rng.random((100, 8, 8, 1), dtype="float32") + y[:, None, None, None] / 10
        np.savez(self.folder / "data.npz", x_train=x, y_train=y)
        out = self.folder / "optimized_model.h5"
        done = subprocess.run(
            [sys.executable, ROOT / "tests/python/keras_program.py",
             ROOT / "bench/snippet/base_model.h5", self.folder / "data.npz", out, "3"],
            capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual(result["epoch"], [0, 1, 2])
        self.assertLess(result["history"]["loss"][2], result["history"]["loss"][0])
        figures = ew.load_model(out).evaluate(x, keras.utils.to_categorical(y, 10), verbose=0,
                                              return_dict=True)
        self.assertEqual(figures, result["evaluate"])


if __name__ == "__main__":
    unittest.main()
