"""A model under Keras' words: load, compile, fit, evaluate, predict, save."""

from __future__ import annotations

import os
from collections.abc import Callable

from edgewise import _edgewise
from edgewise._arrays import per_port, to_array, to_float32, to_numpy
from edgewise._calls import name_or_call
from edgewise._training import Run
from edgewise.data import Data

#: What fit() and optimize() take when they are given none; keras.utils.set_random_seed() sets it.
default_seed = 0


class Model:
    """A model that load_model() has read. Layers are built in Keras, not here."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        raise TypeError("models are built in Keras, saved there, and read with load_model()")

    @classmethod
    def _wrap(cls, native: _edgewise.Model) -> Model:
        model = cls.__new__(cls)
        model._native = native
        model._inputs = native.inputs()
        model._outputs = native.outputs()
        model.stop_training = False
        model.history = None
        return model

    @property
    def input_names(self) -> list[str]:
        return [port.name for port in self._inputs]

    @property
    def output_names(self) -> list[str]:
        return [port.name for port in self._outputs]

    @property
    def input_shape(self) -> object:
        """A tuple with None for axes of any length; a list of them with several inputs."""
        return _shapes(self._inputs)

    @property
    def output_shape(self) -> object:
        return _shapes(self._outputs)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one sample."""
        return self._native.macs()

    def count_params(self) -> int:
        return self._native.parameter_count()

    def summary(self, print_fn: Callable[[str], object] = print, stages: bool = False) -> None:
        """Prints layers, shapes and sizes; with `stages`, the graph as text at each stage."""
        print_fn(self._native.summary(stages))

    def add_rescaling(self, factor: float) -> None:
        """Puts a Rescaling(factor) layer behind every input, so that raw data can go in."""
        self._native.add_rescaling(factor)

    def compile(self, optimizer: object = "rmsprop", loss: object = None,
                loss_weights: object = None, metrics: object = None,
                weighted_metrics: object = None, **speed: object) -> None:
        """Sets optimizer, loss and metrics by name or object; the optimizer starts afresh.

        run_eagerly, jit_compile, steps_per_execution and auto_scale_loss are taken and do nothing.
        """
        unknown = set(speed) - {"run_eagerly", "jit_compile", "steps_per_execution",
                                "auto_scale_loss"}
        if unknown:
            raise TypeError(f"compile() got an unexpected keyword argument '{min(unknown)}'")
        if weighted_metrics:
            raise TypeError("weighted_metrics are not supported")
        options = _edgewise.CompileOptions()
        options.is_fresh = True
        options.optimizer = name_or_call(optimizer, "optimizer")
        if loss is not None:
            options.losses = [name_or_call(item, "loss")
                              for item in self._per_output(loss, "loss")]
        options.metrics = [name_or_call(item, "metrics") for item in _flat(metrics)]
        if loss_weights is not None:
            options.loss_weights = self._per_output(loss_weights, "loss_weights")
        self._native.compile(options)
        self.optimizer = optimizer
        self.loss = loss

    def fit(self, x: object = None, y: object = None, batch_size: int | None = None,
            epochs: int = 1, verbose: object = "auto", callbacks: object = None,
            validation_split: float = 0.0, validation_data: object = None, shuffle: bool = True,
            class_weight: dict[int, float] | None = None, sample_weight: object = None, *,
            seed: int | None = None, threads: int = 1, max_steps: int = -1, log_steps: bool = False,
            augment: str = "", checkpoint: str | os.PathLike[str] = "",
            resume: str | os.PathLike[str] = "") -> History:
        """Trains as Keras' fit(); x is an array (a list or dict for several inputs) or a Data.

        Beyond Keras: same seed, same result; max_steps ends the run after so many updates;
        log_steps keeps every step's loss and rate in History.steps; augment changes images at
        random; checkpoint is written after every epoch and resume continues from it.
        """
        data = self._data(x, y, sample_weight, validation_split)
        if validation_data is not None:
            validation = list(validation_data) + [None]
            weights = None if validation[2] is None else to_array(validation[2])
            data = data.with_validation(self._arrays_in(validation[0]),
                                        self._arrays_out(validation[1]), weights)
        options = fit_options(batch_size, shuffle, seed, threads, class_weight, augment)
        options.epochs = epochs
        options.max_steps = max_steps
        options.log_steps = log_steps
        options.checkpoint = os.fspath(checkpoint)
        options.resume = os.fspath(resume)
        run = Run(self, options, data.train_size, callbacks, verbose)
        native = self._native.fit(data, options, run.on_step, run.on_epoch_end)
        self.history = History(self, native, run.parameters)
        run.finish(native.notes)
        return self.history

    def evaluate(self, x: object = None, y: object = None, batch_size: int | None = None,
                 verbose: object = "auto", sample_weight: object = None,
                 return_dict: bool = False, *, part: str = "test", threads: int = 1) -> object:
        """Loss and metrics on rows, or on a part ("train", "validation", "test") of a Data."""
        if part not in ("train", "validation", "test"):
            raise ValueError(f"part: expected train, validation or test, found {part!r}")
        data = self._data(x, y, sample_weight, 0.0)
        which = part if isinstance(x, Data) else "train"
        figures = self._native.evaluate(data, which, batch_size or 32, threads)
        if verbose not in (0, False):
            print(" - ".join(f"{name}: {value:.4f}" for name, value in figures))
        if return_dict:
            return dict(figures)
        values = [value for _, value in figures]
        return values[0] if len(values) == 1 else values

    def predict(self, x: object, batch_size: int | None = None, verbose: object = "auto",
                steps: object = None, callbacks: object = None, *, engine: str = "fast",
                threads: int = 1) -> object:
        """A NumPy array per output (one alone stands for itself). batch_size changes nothing."""
        if engine not in ("fast", "reference"):
            raise ValueError(f"engine: expected fast or reference, found {engine!r}")
        inputs = [to_float32(item) for item in per_port(x, self.input_names, "x")]
        outputs = self._native.predict(inputs, engine == "reference", threads)
        arrays = [to_numpy(output) for output in outputs]
        return arrays[0] if len(arrays) == 1 else arrays

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True,
             include_optimizer: bool = True, *, keras_version: str = "both",
             save_format: str | None = None) -> list[str]:
        """Writes by suffix, .h5 or .keras; returns notes, such as which Keras opens the file."""
        if keras_version not in ("both", "2", "3"):
            raise ValueError(f"keras_version: expected both, 2 or 3, found {keras_version!r}")
        path = os.fspath(filepath)
        if not overwrite and os.path.exists(path):
            raise FileExistsError(f"{path} exists and overwrite is False")
        return self._native.save(path, keras_version, include_optimizer)

    def _per_output(self, value: object, what: str) -> list[object]:
        if isinstance(value, (dict, list, tuple)):
            return per_port(value, self.output_names, what) if len(self._outputs) > 1 else (
                list(value.values()) if isinstance(value, dict) else list(value))
        return [value]

    def _arrays_in(self, x: object) -> list[_edgewise.Array]:
        return [to_array(item) for item in per_port(x, self.input_names, "x")]

    def _arrays_out(self, y: object) -> list[_edgewise.Array]:
        return [to_array(item) for item in per_port(y, self.output_names, "y")]

    def _data(self, x: object, y: object, sample_weight: object,
              validation_split: float) -> _edgewise.Data:
        if isinstance(x, Data):
            if y is not None or sample_weight is not None or validation_split:
                raise ValueError("a Data brings its own targets, weights and validation part")
            return x._native
        if x is None or y is None:
            raise ValueError("expected x and y, or a Data")
        weights = None if sample_weight is None else to_array(sample_weight)
        return _edgewise.Data.from_arrays(self._arrays_in(x), self._arrays_out(y), weights,
                                          validation_split)


class History:
    """What fit() reached: `history` has a list of figures per epoch under each name."""

    def __init__(self, model: Model, native: _edgewise.History, parameters: dict) -> None:
        self.model = model
        self.params = parameters
        self.epoch = [native.first_epoch + k for k in range(len(native.epochs))]
        self.history: dict[str, list[float]] = {}
        for figures in native.epochs:
            for name, value in figures:
                self.history.setdefault(name, []).append(value)
        self.steps = native.steps
        self.notes = native.notes


def fit_options(batch_size: int | None, shuffle: bool, seed: int | None, threads: int,
                class_weight: dict[int, float] | None, augment: str) -> _edgewise.FitOptions:
    """What fit() and optimize() share."""
    options = _edgewise.FitOptions()
    options.batch_size = batch_size or 32
    options.shuffle = bool(shuffle)
    options.seed = default_seed if seed is None else seed
    options.threads = threads
    options.class_weight = {int(k): float(v) for k, v in (class_weight or {}).items()}
    options.augment = augment
    return options


def load_model(filepath: str | os.PathLike[str], custom_objects: object = None,
               compile: bool = True, safe_mode: bool = True, *,
               architecture: str | os.PathLike[str] = "",
               int8_profile: str = "tflm") -> Model:
    """Reads a Keras .h5 or .keras file of either generation, or a .tflite file.

    architecture: a JSON file or model, for files that hold weights only. int8_profile: how the
    integer operators of a .tflite file round ("tflm", "litert-ref" or "xnnpack"). compile and safe_mode
    are taken and do nothing: code in files is never run.
    """
    if custom_objects:
        raise TypeError("custom_objects: Python code cannot run natively")
    return Model._wrap(_edgewise.load_model(os.fspath(filepath), os.fspath(architecture),
                                            int8_profile))


def _shapes(ports: list[_edgewise.Port]) -> object:
    shapes = [tuple(None if d < 0 else d for d in port.shape) for port in ports]
    return shapes[0] if len(shapes) == 1 else shapes


def _flat(metrics: object) -> list[object]:
    """A flat list of metrics from None, one, or a list."""
    if metrics is None:
        return []
    if not isinstance(metrics, (list, tuple)):
        return [metrics]
    if len(metrics) == 1 and isinstance(metrics[0], (list, tuple)):
        return list(metrics[0])
    return list(metrics)
