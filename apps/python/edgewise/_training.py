"""One run of fit(): its callbacks and what it prints."""

from __future__ import annotations

import time

from edgewise import _edgewise
from edgewise._calls import Call, render
from edgewise.keras.callbacks import Callback


class Run:
    """Connects the native training loop with Python callbacks and Keras' printed lines."""

    def __init__(self, model: object, options: _edgewise.FitOptions, rows: int,
                 callbacks: object, verbose: object) -> None:
        if callbacks is None:
            callbacks = []
        elif not isinstance(callbacks, (list, tuple)):
            callbacks = [callbacks]
        options.callbacks = [render(c) for c in callbacks if isinstance(c, Call)]
        self._callbacks = [c for c in callbacks if not isinstance(c, Call)]
        for callback in self._callbacks:
            _check(callback)
        self._is_verbose = verbose not in (0, False)
        self._epochs = options.epochs
        self._steps = -(-rows // options.batch_size)
        self._begin = time.monotonic()
        self._model = model
        self.parameters = {"verbose": verbose, "epochs": options.epochs, "steps": self._steps}
        model.stop_training = False
        for callback in self._callbacks:
            callback.set_model(model)
            callback.set_params(self.parameters)
        self._tell("on_train_begin")
        self._tell("on_epoch_begin", 0)
        self._last = {}
        per_step = [c for c in self._callbacks
                    if type(c).on_train_batch_end is not Callback.on_train_batch_end]
        self.on_step = self._on_step if per_step else None

    def _tell(self, method: str, *args: object) -> None:
        for callback in self._callbacks:
            getattr(callback, method)(*args)

    def _on_step(self, epoch: int, step: int, steps: int,
                 figures: list[tuple[str, float]]) -> None:
        self._tell("on_train_batch_end", step - 1, dict(figures))

    def on_epoch_end(self, epoch: int, figures: list[tuple[str, float]]) -> bool:
        """Called natively after every epoch; False ends the training."""
        self._last = dict(figures)
        if self._is_verbose:
            self._print_epoch(epoch, figures)
        self._tell("on_epoch_end", epoch, self._last)
        if epoch + 1 < self._epochs and not self._model.stop_training:
            self._tell("on_epoch_begin", epoch + 1)
        return not self._model.stop_training

    def _print_epoch(self, epoch: int, figures: list[tuple[str, float]]) -> None:
        now = time.monotonic()
        seconds, self._begin = now - self._begin, now
        text = " - ".join(f"{name}: {value:.4g}" if "rate" in name else f"{name}: {value:.4f}"
                          for name, value in figures)
        print(f"Epoch {epoch + 1}/{self._epochs}\n{self._steps}/{self._steps} - {seconds:.1f}s - "
              f"{text}", flush=True)

    def finish(self, notes: list[str]) -> None:
        if self._is_verbose:
            for note in notes:
                print(note)
        self._tell("on_train_end", self._last)


def _check(callback: object) -> None:
    """Refuses what would silently not be called."""
    if not isinstance(callback, Callback):
        raise TypeError(f"callbacks: expected objects of edgewise.keras.callbacks, found {callback}")
    for method in ("on_train_batch_begin", "on_batch_begin", "on_batch_end", "on_test_begin",
                   "on_test_end", "on_test_batch_begin", "on_test_batch_end", "on_predict_begin",
                   "on_predict_end", "on_predict_batch_begin", "on_predict_batch_end"):
        if hasattr(callback, method):
            raise TypeError(f"{type(callback).__name__}.{method}: is never called here")
