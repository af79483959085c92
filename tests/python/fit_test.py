"""fit(), evaluate() and predict() give what Keras recorded."""

import os
import signal
import threading
import time
import unittest

import edgewise as ew
import numpy as np
from edgewise.keras.callbacks import Callback, EarlyStopping, LambdaCallback, ReduceLROnPlateau
from fixtures import FITS, FolderTest, Recorded


def callbacks_of(case):
    callbacks = []
    if "earlystopping" in case:
        callbacks.append(EarlyStopping(**case["earlystopping"]))
    if "plateau" in case:
        callbacks.append(ReduceLROnPlateau(**case["plateau"]))
    return callbacks


class RecordedRuns(FolderTest):
    def check(self, found, expected, tolerance, what):
        for name, values in expected.items():
            limit = tolerance["loss" if name.endswith("loss") else "metric"]
            # Keras 2 calls the rate of ReduceLROnPlateau "lr".
            np.testing.assert_allclose(found["learning_rate" if name == "lr" else name], values,
                                       rtol=0, atol=limit, err_msg=f"{what} {name}")

    def test_history_evaluation_and_predictions_are_those_of_keras(self):
        for folder in sorted(FITS.iterdir()):
            with self.subTest(folder.name):
                run = Recorded(folder.name)
                case = run.case
                model = ew.load_model(run.base)
                class_weight = {int(k): v for k, v in case.get("class_weight", {}).items()}
                history = model.fit(
                    run.x, run.y, batch_size=case["batch_size"], epochs=case["epochs"], verbose=0,
                    shuffle=False, validation_split=case.get("validation_split", 0.0),
                    class_weight=class_weight, sample_weight=run.array("sample_weight.npy"),
                    callbacks=callbacks_of(case))
                self.check(history.history, case["history"], case["tolerance"], "history")
                self.assertEqual(history.epoch, list(range(len(history.history["loss"]))))
                figures = model.evaluate(run.x, run.y, batch_size=16, verbose=0, return_dict=True)
                self.check(figures, case["evaluate"], case["tolerance"], "evaluate")
                saved = ew.load_model(run.folder / case["saved"])
                np.testing.assert_allclose(saved.predict(run.x), run.array("pred.npy"), rtol=0,
                                           atol=case["tolerance"]["pred"])

    def test_a_saved_model_goes_on_where_it_stopped(self):
        run = Recorded("fit_plain_k3")
        model = ew.load_model(run.base)
        model.fit(run.x, run.y, batch_size=16, epochs=4, shuffle=False, verbose=0)
        model.save(self.folder / "trained.h5")
        again = ew.load_model(self.folder / "trained.h5")
        resume = run.case["resume"]
        history = again.fit(run.x, run.y, batch_size=16, epochs=resume["epochs"], shuffle=False,
                            verbose=0)
        self.check(history.history, resume["history"], run.case["tolerance"], "resumed")


class Training(FolderTest):
    def setUp(self):
        super().setUp()
        self.run_of_keras = Recorded("fit_plain_k3")
        self.x, self.y = self.run_of_keras.x, self.run_of_keras.y
        self.model = ew.load_model(self.run_of_keras.base)

    def fit(self, **options):
        return self.model.fit(self.x, self.y, batch_size=16, verbose=0, **options)

    def test_validation_data_gives_validation_figures(self):
        history = self.fit(validation_data=(self.x[:20], self.y[:20]), shuffle=False)
        self.assertEqual(list(history.history), ["loss", "accuracy", "val_loss", "val_accuracy"])
        figures = self.model.evaluate(self.x[:20], self.y[:20], batch_size=16, verbose=0)
        np.testing.assert_allclose(figures, [history.history["val_loss"][0],
                                             history.history["val_accuracy"][0]], atol=1e-6)

    def test_a_data_set_trains_as_its_arrays_do(self):
        other = ew.load_model(self.run_of_keras.base)
        data = ew.Data.from_arrays(self.x, self.y, validation_split=0.2)
        self.assertEqual((data.train_size, data.validation_size, data.test_size), (56, 14, 0))
        a = self.fit(validation_split=0.2, seed=3).history
        b = other.fit(data, batch_size=16, verbose=0, seed=3).history
        self.assertEqual(a, b)
        other.evaluate(data, part="validation", verbose=0)
        with self.assertRaises(ValueError):
            other.fit(data, self.y)

    def test_a_callback_sees_every_epoch_and_can_stop_the_training(self):
        seen = []

        class Watch(Callback):
            def on_epoch_begin(self, epoch, logs=None):
                seen.append(("begin", epoch))

            def on_train_batch_end(self, batch, logs=None):
                seen.append(("batch", batch))

            def on_epoch_end(self, epoch, logs=None):
                seen.append(("end", epoch, sorted(logs)))
                self.model.stop_training = epoch == 1

        history = self.fit(epochs=5, callbacks=[Watch()])
        epoch = [("batch", k) for k in range(5)]
        names = ["accuracy", "loss"]
        self.assertEqual(seen, [("begin", 0), *epoch, ("end", 0, names),
                                ("begin", 1), *epoch, ("end", 1, names)])
        self.assertEqual(history.epoch, [0, 1])

    def test_an_exception_in_a_callback_ends_the_training(self):
        def fail(epoch, logs):
            raise ZeroDivisionError("mine")

        with self.assertRaisesRegex(ZeroDivisionError, "mine"):
            self.fit(epochs=3, callbacks=[LambdaCallback(on_epoch_end=fail)])
        self.fit()  # the model is free again

    def test_a_model_in_training_cannot_be_used(self):
        with self.assertRaisesRegex(ew.Error, "in use by fit"):
            self.fit(callbacks=[LambdaCallback(
                on_epoch_end=lambda epoch, logs: self.model.predict(self.x))])

    def test_callbacks_that_would_not_be_called_are_refused(self):
        class Deaf(Callback):
            def on_test_begin(self, logs=None):
                pass

        for callback in (Deaf(), object()):
            with self.assertRaises(TypeError):
                self.fit(callbacks=[callback])

    def test_files_of_callbacks_are_written(self):
        from edgewise.keras.callbacks import CSVLogger, ModelCheckpoint, TerminateOnNaN

        best = str(self.folder / "best.h5")
        log = str(self.folder / "log.csv")
        self.fit(epochs=2, callbacks=[ModelCheckpoint(best, monitor="loss", save_best_only=True),
                                      CSVLogger(log), TerminateOnNaN()])
        np.testing.assert_array_equal(ew.load_model(best).predict(self.x),
                                      self.model.predict(self.x))
        with open(log) as file:
            self.assertEqual(file.readline().strip(), "epoch,loss,accuracy")

    def test_ctrl_c_raises_keyboard_interrupt_and_keeps_what_was_reached(self):
        before = self.model.predict(self.x)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        begin = time.monotonic()
        with self.assertRaises(KeyboardInterrupt):
            self.fit(epochs=10**7)
        self.assertLess(time.monotonic() - begin, 20)
        self.assertFalse(np.array_equal(before, self.model.predict(self.x)))

    def test_other_threads_run_meanwhile(self):
        stop = LambdaCallback(on_epoch_end=lambda epoch, logs: None)
        thread = threading.Thread(target=self.fit, kwargs={"epochs": 10**7, "callbacks": [stop]})
        thread.start()
        count = 0
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
            count += 1
        self.model.stop_training = True
        thread.join(timeout=20)
        self.assertFalse(thread.is_alive())
        self.assertGreater(count, 100)

    def test_steps_carry_loss_and_rate(self):
        history = self.fit(log_steps=True, max_steps=3)
        self.assertEqual([figures.step for figures in history.steps], [0, 1, 2])
        self.assertGreater(history.steps[0].learning_rate, 0)


if __name__ == "__main__":
    unittest.main()
