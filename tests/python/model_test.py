"""Loading, compiling, predicting, saving; arrays; errors."""

import io
import os
import subprocess
import sys
import unittest
from contextlib import redirect_stdout

import edgewise as ew
import numpy as np
from edgewise import _arrays, keras
from fixtures import FolderTest, Recorded


class Models(FolderTest):
    def setUp(self):
        super().setUp()
        self.recorded = Recorded("fit_plain_k3")
        self.model = ew.load_model(self.recorded.base)

    def test_a_model_tells_what_it_is(self):
        self.assertIsInstance(self.model, keras.Model)
        self.assertEqual(self.model.input_shape, (None, *self.recorded.x.shape[1:]))
        self.assertEqual(self.model.output_shape, (None, *self.recorded.y.shape[1:]))
        self.assertGreater(self.model.count_params(), 0)
        self.assertEqual(len(self.model.input_names), 1)
        with self.assertRaisesRegex(TypeError, "load_model"):
            keras.Model()

    def test_summary_prints_the_layers(self):
        text = io.StringIO()
        with redirect_stdout(text):
            self.model.summary()
        self.assertIn("dense", text.getvalue())

    def test_a_missing_file_is_an_error_with_a_code(self):
        with self.assertRaises(ew.Error) as caught:
            ew.load_model(self.folder / "none.h5")
        self.assertEqual(caught.exception.code, "not_found")
        self.assertIn("none.h5", str(caught.exception))

    def test_predict_takes_what_numpy_can_read(self):
        x = self.recorded.x
        expected = self.model.predict(x)
        self.assertIsInstance(expected, np.ndarray)
        self.assertEqual(expected.dtype, np.float32)
        self.assertTrue(expected.flags.writeable)
        wide = np.repeat(x, 2, axis=-1)[..., ::2]
        for given in (x.astype("float64"), x.tolist(), x.astype(">f4"), np.asfortranarray(x), wide,
                      [x], {self.model.input_names[0]: x}):
            np.testing.assert_array_equal(self.model.predict(given), expected)
        np.testing.assert_allclose(self.model.predict(x, engine="reference"), expected, atol=1e-6)

    def test_predict_names_what_does_not_fit(self):
        with self.assertRaises(ew.Error) as caught:
            self.model.predict(np.zeros((2, 3, 4, 5), "float32"))
        self.assertEqual(caught.exception.code, "invalid_argument")
        for wrong in (["a"], [None]):
            with self.assertRaises((TypeError, ValueError)):
                self.model.predict(wrong)

    def test_a_saved_model_predicts_the_same(self):
        for name in ("m.h5", "m.keras"):
            notes = ew.save(self.model, self.folder / name)
            self.assertIsInstance(notes, list)
            again = ew.load_model(self.folder / name)
            np.testing.assert_array_equal(again.predict(self.recorded.x),
                                          self.model.predict(self.recorded.x))
        with self.assertRaises(FileExistsError):
            self.model.save(self.folder / "m.h5", overwrite=False)

    def test_compile_forgets_what_the_file_had(self):
        self.model.compile(optimizer="sgd", loss="categorical_crossentropy")
        figures = self.model.evaluate(self.recorded.x, self.recorded.y, verbose=0)
        self.assertIsInstance(figures, float)

    def test_compile_names_what_it_does_not_know(self):
        for options in ({"optimizer": "adm"}, {"loss": "categorical_crossentrop"},
                        {"metrics": ["acuracy"]}, {"optimizer": keras.optimizers.SGD(momentum=7)}):
            with self.subTest(options):
                with self.assertRaises(ew.Error) as caught:
                    self.model.compile(**{"loss": "mse", **options})
                self.assertEqual(caught.exception.code, "invalid_argument")
        for options in ({"loss": lambda a, b: 0}, {"optimiser": "adam"}):
            with self.assertRaises(TypeError):
                self.model.compile(**options)


class Arrays(unittest.TestCase):
    def test_memory_is_shared_both_ways(self):
        for dtype in "f4 f8 f2 i1 u1 i2 u2 i4 u4 i8 u8 ?".split():
            source = np.zeros((2, 3), dtype)
            array = _arrays.to_array(source)
            back = _arrays.to_numpy(array)
            self.assertTrue(np.shares_memory(source, back))
            self.assertEqual((back.dtype, back.shape), (source.dtype, source.shape))

    def test_an_array_outlives_the_name_it_came_from(self):
        array = _arrays.to_array(np.full(1000, 7, "float32"))
        junk = [np.zeros(1000, "float32") for _ in range(50)]
        self.assertEqual(float(np.asarray(array).sum()), 7000)
        del junk

    def test_bytes_and_memory_views_need_no_numpy(self):
        self.assertEqual(_arrays.to_array(bytearray(b"abc")).shape, [3])


class Import(unittest.TestCase):
    def test_takes_no_numpy_and_under_150_ms_of_cpu(self):
        code = ("import time; t = time.process_time(); import edgewise, sys; "
                "print(time.process_time() - t, 'numpy' in sys.modules)")
        seconds, has_numpy = min(subprocess.run([sys.executable, "-c", code], capture_output=True,
                                                text=True, check=True, env=os.environ
                                                ).stdout.split() for _ in range(3))
        self.assertEqual(has_numpy, "False")
        self.assertLess(float(seconds), 0.15)


if __name__ == "__main__":
    unittest.main()
