"""Makes a trained model smaller while it stays as accurate as asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from edgewise import _edgewise
from edgewise.data import Data
from edgewise.model import Model, fit_options


class Int8:
    """Post-training quantisation to 8 bits; profile "tflm", "litert-ref" or "xnnpack"."""

    def __init__(self, profile: str = "tflm") -> None:
        self.profile = profile


class Magnitude:
    """Magnitude pruning to this share of zero weights while fine-tuning."""

    def __init__(self, sparsity: float) -> None:
        self.sparsity = sparsity


class Optimized:
    """`model` is the accepted one, or the best seen if none was; `report` tells which."""

    def __init__(self, model: Model, report: _edgewise.OptimizeReport) -> None:
        self.model = model
        self.report = report


def optimize(model: Model, data: Data, *, quantize: Int8 | str | None = "int8",
             prune: Magnitude | float | None = None, min_prune: float = 0.0,
             max_accuracy_drop: float = 0.01, fine_tune_epochs: int = -1,
             calibration_samples: int = 512, keep_float: Sequence[str] = (),
             batch_size: int = 32, shuffle: bool = True, seed: int | None = None,
             threads: int = 1, augment: str = "",
             class_weight: dict[int, float] | None = None,
             on_progress: Callable[[int, int, int, list], object] | None = None,
             on_stage: Callable[[str], object] | None = None) -> Optimized:
    """Fine-tunes, prunes and quantises; `model` stays as it is.

    Decisions are made on the validation part of `data`; the test part is measured once, at the
    end. Loss and optimizer of the fine-tuning are those the model is compiled with.
    fine_tune_epochs -1: 3 with pruning, else 0. on_progress gets epoch, step, steps and figures.
    """
    options = _edgewise.OptimizeOptions()
    if isinstance(quantize, str):
        if quantize not in ("int8", "none"):
            raise ValueError(f"quantize: expected int8 or none, found {quantize!r}")
        quantize = Int8() if quantize == "int8" else None
    options.int8_profile = quantize.profile if quantize else None
    options.sparsity = prune.sparsity if isinstance(prune, Magnitude) else float(prune or 0)
    options.min_prune = min_prune
    options.max_accuracy_drop = max_accuracy_drop
    options.fine_tune_epochs = fine_tune_epochs
    options.fit = fit_options(batch_size, shuffle, seed, threads, class_weight, augment)
    options.calibration_samples = calibration_samples
    options.keep_float = list(keep_float)
    native, report = _edgewise.optimize(model._native, data._native, options, on_progress, on_stage)
    return Optimized(Model._wrap(native), report)


def save(model: Model | Optimized, path: str | os.PathLike[str], *, keras_version: str = "both",
         include_optimizer: bool | None = None) -> list[str]:
    """Writes by suffix, .h5 or .keras; returns notes, such as which Keras opens the file.

    An Optimized goes without its optimizer unless asked for, and not at all if it was not
    accepted: its `model` can be saved all the same.
    """
    if not isinstance(model, Optimized):
        return model.save(path, include_optimizer=include_optimizer is not False,
                          keras_version=keras_version)
    if not model.report.accepted:
        error = _edgewise.Error("accuracy fell by more than max_accuracy_drop allows")
        error.code = "bar_not_met"
        raise error
    return model.model.save(path, include_optimizer=bool(include_optimizer),
                            keras_version=keras_version)
