"""edgewise train: learns, repeats itself, survives kill -9 and Ctrl-C."""

import math
import signal
import subprocess
import time
import unittest
from pathlib import Path

from edgewise import BASE_MODEL, EdgewiseTest


class Training(EdgewiseTest):
    def train(self, data, out, *more, epochs=3):
        return self.run_json("train", BASE_MODEL, "--data", data, "-o", self.path(out), "--epochs",
                             epochs, *more)

    def start(self, *arguments):
        """Starts the program and leaves it running."""
        process = subprocess.Popen(["edgewise", *map(str, arguments)], cwd=self.folder,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)

        def stop():
            process.kill()
            process.communicate()

        self.addCleanup(stop)
        return process

    def wait_for(self, condition, process, seconds=120):
        """Polls until `condition()` holds; fails if the process ends first."""
        end = time.monotonic() + seconds
        while not condition():
            self.assertIsNone(process.poll(), "the run ended before it could be stopped")
            self.assertLess(time.monotonic(), end, "the run did not get far enough")
            time.sleep(0.005)

    def test_learns_from_csv_and_npz(self):
        for data in (self.write_csv("d.csv", 600), self.write_npz("d.npz", 500, 100)):
            with self.subTest(data):
                before = self.run_json("evaluate", BASE_MODEL, "--data", data)
                done = self.train(data, "o.h5", epochs=8)
                self.assertEqual([row["epoch"] for row in done["epochs"]], list(range(1, 9)))
                self.assertLess(done["epochs"][-1]["loss"], 0.7 * done["epochs"][0]["loss"])
                after = self.run_json("evaluate", self.path("o.h5"), "--data", data)
                self.assertLess(after["loss"], before["loss"])
                self.assertGreater(after["accuracy"], 0.8)

    def test_log_steps_shows_the_schedule(self):
        data = self.write_npz("d.npz", 320, 20)
        done = self.train(data, "o.h5", "--log-steps", "--max-steps", 6, "--validation-split", 0,
                          "--optimizer", "sgd", "--lr-schedule",
                          "ExponentialDecay(0.02, decay_steps=4, decay_rate=0.5)")
        self.assertEqual(len(done["steps"]), 6)
        for k, row in enumerate(done["steps"]):
            self.assertTrue(math.isclose(row["learning_rate"], 0.02 * 0.5 ** (k / 4), rel_tol=1e-5))

    def test_the_same_seed_gives_the_same_file_at_any_number_of_threads(self):
        data = self.write_npz("d.npz", 300, 20)
        self.train(data, "a.h5")
        self.train(data, "b.h5", "--threads", 3)
        self.train(data, "c.h5", "--seed", 1)
        first, second, third = (Path(self.path(n)).read_bytes() for n in ("a.h5", "b.h5", "c.h5"))
        self.assertEqual(first, second)
        self.assertNotEqual(first, third)

    def test_a_killed_run_continues_with_the_same_bits(self):
        data = self.write_npz("d.npz", 20000, 100)
        common = ("--data", data, "--epochs", 5, "--optimizer", "adam", "--lr-schedule",
                  "ExponentialDecay(0.01, decay_steps=500, decay_rate=0.9)")
        self.run_edgewise("train", BASE_MODEL, *common, "-o", self.path("whole.h5"))
        checkpoint = Path(self.path("checkpoint.h5"))
        process = self.start("train", BASE_MODEL, *common, "-o", self.path("killed.h5"),
                             "--checkpoint", checkpoint)
        self.wait_for(checkpoint.exists, process)
        process.send_signal(signal.SIGKILL)
        self.assertEqual(process.wait(), -signal.SIGKILL)
        self.assertFalse(Path(self.path("killed.h5")).exists())
        done = self.run_json("train", BASE_MODEL, *common, "-o", self.path("resumed.h5"),
                             "--resume", checkpoint)
        self.assertGreater(done["epochs"][0]["epoch"], 1)
        self.assertEqual(done["epochs"][-1]["epoch"], 5)
        self.assertEqual(self.predictions(self.path("whole.h5")),
                         self.predictions(self.path("resumed.h5")))
        self.assertEqual(Path(self.path("whole.h5")).read_bytes(),
                         Path(self.path("resumed.h5")).read_bytes())

    def test_every_optimizer_resumes_with_the_same_bits(self):
        data = self.write_npz("d.npz", 200, 20)
        for optimizer in ("sgd", "SGD(0.01, momentum=0.9)", "rmsprop", "adam", "AdamW(0.01)",
                          "adamax", "nadam", "adagrad", "adadelta", "ftrl", "lion", "adafactor",
                          "lamb", "Adam(use_ema=True)"):
            with self.subTest(optimizer):
                self.assert_resumes(data, "--optimizer", optimizer)

    def test_callbacks_resume_with_the_same_bits(self):
        data = self.write_npz("d.npz", 200, 20)
        self.assert_resumes(data, "--optimizer", "sgd", "--callback",
                            "ReduceLROnPlateau(patience=1, factor=0.5, min_delta=1)", "--callback",
                            "EarlyStopping(patience=3)")

    def test_the_best_weights_survive_a_resume(self):
        data = self.write_npz("d.npz", 200, 20)
        options = ["--optimizer", "sgd", "--callback",
                   "EarlyStopping(monitor='loss', mode='max', patience=9, "
                   "restore_best_weights=True)"]
        self.train(data, "whole.h5", *options, epochs=4)
        self.train(data, "half.h5", *options, "--checkpoint", self.path("c.h5"), epochs=2)
        self.train(data, "resumed.h5", *options, "--resume", self.path("c.h5"), epochs=4)
        self.train(data, "last.h5", *options[:2], epochs=4)
        self.assertEqual(self.predictions(self.path("whole.h5")),
                         self.predictions(self.path("resumed.h5")))
        # The best epoch came before the checkpoint, so the file that is resumed from must hold it.
        self.assertEqual(self.predictions(self.path("whole.h5")),
                         self.predictions(self.path("half.h5")))
        self.assertNotEqual(self.predictions(self.path("whole.h5")),
                            self.predictions(self.path("last.h5")))

    def assert_resumes(self, data, *options):
        """Four epochs give the same file as two, a checkpoint, and two more."""
        self.train(data, "whole.h5", *options, epochs=4)
        self.train(data, "half.h5", *options, "--checkpoint", self.path("c.h5"), epochs=2)
        self.train(data, "resumed.h5", *options, "--resume", self.path("c.h5"), epochs=4)
        self.assertEqual(Path(self.path("whole.h5")).read_bytes(),
                         Path(self.path("resumed.h5")).read_bytes())
        self.assertNotEqual(self.predictions(self.path("whole.h5")),
                            self.predictions(self.path("half.h5")))

    def test_ctrl_c_ends_with_130_and_leaves_no_broken_file(self):
        data = self.write_npz("d.npz", 20000, 100)
        out = Path(self.path("o.h5"))
        out.write_bytes(b"what was there before")
        checkpoint = Path(self.path("checkpoint.h5"))
        process = self.start("train", BASE_MODEL, "--data", data, "--epochs", 500, "-o", out,
                             "--checkpoint", checkpoint)
        self.wait_for(checkpoint.exists, process)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=30), 130)
        self.assertEqual(out.read_bytes(), b"what was there before")
        self.assertEqual(self.names(), ["checkpoint.h5", "d.npz", "o.h5"])
        self.run_edgewise("inspect", checkpoint)

    def test_resume_refuses_what_is_no_checkpoint(self):
        data = self.write_npz("d.npz", 60, 20)
        done = self.run_edgewise("train", BASE_MODEL, "--data", data, "-o", self.path("o.h5"),
                                 "--resume", BASE_MODEL, expect=2)
        self.assertIn("checkpoint", done.stderr)

    def test_csv_log_has_one_line_per_epoch(self):
        data = self.write_npz("d.npz", 60, 20)
        self.train(data, "o.h5", "--csv-log", self.path("log.csv"))
        lines = Path(self.path("log.csv")).read_text().splitlines()
        self.assertEqual(len(lines), 4)
        self.assertTrue(lines[0].startswith("epoch,"))


if __name__ == "__main__":
    unittest.main()
