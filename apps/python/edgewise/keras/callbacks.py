"""keras.callbacks: those that act natively, and a base for callbacks in Python."""

from __future__ import annotations

from edgewise._calls import Call


class Callback:
    """Override any method. `model` cannot be used before fit() has returned, except to set
    model.stop_training; the figures come as `logs`.
    """

    def __init__(self) -> None:
        self.model = None
        self.params = None

    def set_model(self, model: object) -> None:
        self.model = model

    def set_params(self, params: dict[str, object]) -> None:
        self.params = params

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None: ...

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None: ...

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None: ...

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None: ...

    def on_train_end(self, logs: dict[str, float] | None = None) -> None: ...


class LambdaCallback(Callback):
    """Callbacks from functions."""

    def __init__(self, on_epoch_begin: object = None, on_epoch_end: object = None,
                 on_train_begin: object = None, on_train_end: object = None) -> None:
        super().__init__()
        for name, function in (("on_epoch_begin", on_epoch_begin), ("on_epoch_end", on_epoch_end),
                               ("on_train_begin", on_train_begin), ("on_train_end", on_train_end)):
            if function is not None:
                setattr(self, name, function)


class EarlyStopping(Call):
    """Stops after `patience` epochs without an improvement of at least min_delta."""

    parameters = ("monitor min_delta patience verbose mode baseline restore_best_weights "
                  "start_from_epoch")


class ReduceLROnPlateau(Call):
    """Multiplies the learning rate by `factor` after `patience` epochs without improvement."""

    parameters = "monitor factor patience verbose mode min_delta cooldown min_lr"


class ModelCheckpoint(Call):
    """Saves the model after every epoch, or after every best one."""

    parameters = ("filepath monitor verbose save_best_only save_weights_only mode save_freq "
                  "initial_value_threshold")


class CSVLogger(Call):
    """One line per epoch in a CSV file."""

    parameters = "filename separator append"


class TerminateOnNaN(Call):
    """Training always ends where the loss is not finite: with an Error that names the step."""
