"""edgewise predict --stream and bench --stream: recorded Keras models, frame by frame."""

import ast
import struct
import unittest
from pathlib import Path

from edgewise import FIXTURES, EdgewiseTest, npy_bytes


def read_npy(path):
    """(shape, values) of a float32 or int32 file."""
    data = Path(path).read_bytes()
    begin = 10 + struct.unpack("<H", data[8:10])[0]
    head = ast.literal_eval(data[10:begin].decode())
    code = {"<f4": "f", "<i4": "i"}[head["descr"]]
    count = (len(data) - begin) // 4
    return head["shape"], struct.unpack(f"<{count}{code}", data[begin:])


class Stream(EdgewiseTest):
    def stream(self, case, *flags):
        """What the stream makes of the recorded input, row by row, and what Keras does."""
        folder = FIXTURES / case
        model = "model.k3.h5" if (folder / "model.k3.h5").exists() else "model.k2.h5"
        done = self.run_edgewise("predict", folder / model, "--input", folder / "input_0.npy",
                                 "--output", self.path("y.npy"), "--stream", *flags)
        return read_npy(self.path("y.npy")), read_npy(folder / "output_0.npy"), done.stderr

    def check(self, case, *flags):
        """Sequences must be equal; of values over all frames so far the last ones are Keras'."""
        (shape, found), (wanted_shape, wanted), log = self.stream(case, *flags)
        rows = wanted_shape[0]
        of_row, of_wanted = len(found) // rows, len(wanted) // rows
        last = [x for row in range(rows)
                for x in found[(row + 1) * of_row - of_wanted:(row + 1) * of_row]]
        self.assertEqual(len(last), len(wanted), case)
        if shape[0] == rows:
            self.assertEqual(shape, wanted_shape)
        largest = max(1e-3, *map(abs, wanted))
        worst = max(abs(a - b) for a, b in zip(last, wanted))
        self.assertLess(worst, 2e-5 * largest, case)
        return log

    def test_recorded_layers_of_keras_give_its_results_frame_by_frame(self):
        cases = """conv1d_causal_d1 conv1d_causal_d4 conv1d_valid_s1_d1 conv1d_valid_s1_d2
            conv1d_valid_s3_d1 conv2d_valid_s1_d1 conv2d_1x1 dense_3d gru_seq
            gru_stacked gru_reset_before lstm lstm_seq lstm_stacked lstm_hardsig simplernn
            simplernn_seq simplernn_stacked dwconv2d_valid_s1_d1
            averagepool1d_valid maxpool1d_valid maxpool1d_valid_k3s2 embedding""".split()
        for case in cases:
            with self.subTest(case):
                self.check(f"layers/{case}")

    def test_frames_of_an_unfinished_run_wait(self):
        for case in ("conv1d_valid_s2_d1", "dwconv2d_valid_s2_d1"):  # nine frames in runs of two
            with self.subTest(case):
                (shape, found), (wanted_shape, wanted), _ = self.stream(f"layers/{case}")
                self.assertEqual(shape[1], wanted_shape[1] - 1)
                of_row, of_wanted = len(found) // shape[0], len(wanted) // shape[0]
                for row in range(shape[0]):
                    a = found[row * of_row:(row + 1) * of_row]
                    b = wanted[row * of_wanted:row * of_wanted + of_row]
                    self.assertLess(max(abs(x - y) for x, y in zip(a, b)), 2e-5 * max(map(abs, b)))

    def test_layers_that_need_the_whole_window_run_over_it(self):
        cases = "conv1d_same_s1_d1 conv2d_same_s2_d1 bi_lstm gru_back flatten globalmaxpool1d"
        for case in cases.split():
            with self.subTest(case):
                self.assertIn("over the whole window from", self.check(f"layers/{case}"))

    def test_the_layer_that_needs_the_whole_window_is_named_with_the_reason(self):
        log = self.check("layers/conv1d_same_s1_d1")
        self.assertIn("(conv): it pads the end of time by 1", log)
        log = self.check("layers/lstm", "--window", "5")
        self.assertIn("(lstm): its state would begin with the window", log)

    def test_frames_at_a_time_change_nothing(self):
        for frames in (1, 5):
            self.check("layers/gru_seq", "--frames", frames)

    def test_an_input_of_another_shape_is_an_error(self):
        Path(self.path("x.npy")).write_bytes(npy_bytes([0.0] * 6, (1, 3, 2)))
        done = self.run_edgewise("predict", FIXTURES / "layers/lstm/model.k3.h5", "--input",
                                 self.path("x.npy"), "--output", self.path("y.npy"), "--stream",
                                 expect=2)
        self.assertIn("expected an input of shape (rows, frames, ", done.stderr)

    def test_bench_tells_the_time_of_a_frame_and_of_a_whole_run(self):
        figures = self.run_json("bench", FIXTURES / "layers/lstm_stacked/model.k3.h5", "--stream",
                                "--batch-ms", 5)
        self.assertEqual(sorted(figures), ["frame_us", "frames_per_call", "macs", "whole_macs",
                                           "whole_us", "window"])
        self.assertLess(figures["macs"], figures["whole_macs"])
        self.assertGreater(figures["frame_us"], 0)


if __name__ == "__main__":
    unittest.main()
