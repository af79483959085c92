"""Data sets to train on and to measure with."""

from __future__ import annotations

import os

from edgewise import _edgewise
from edgewise._arrays import to_array


def _arrays(value: object) -> list[_edgewise.Array]:
    """One array per model input or output, from a list of arrays or a single one."""
    if isinstance(value, (list, tuple)) and all(hasattr(item, "shape") for item in value):
        return [to_array(item) for item in value]
    return [to_array(value)]


class Data:
    """Three parts: train, validation and test. The rows are shared and never change."""

    def __init__(self, native: _edgewise.Data) -> None:
        self._native = native

    @classmethod
    def open(cls, spec: str | os.PathLike[str], *, seed: int = 0,
             validation_split: float = 0.1) -> Data:
        """Opens .npz, .csv, IDX folders and folders by class, as `--data` of the command line."""
        return cls(_edgewise.Data.open(os.fspath(spec), seed, validation_split))

    @classmethod
    def from_arrays(cls, x: object, y: object, sample_weight: object = None,
                    validation_split: float = 0.0) -> Data:
        """Rows in memory as the training part; its last `validation_split` is for validation.

        x and y are arrays, or lists of arrays for models with several inputs or outputs.
        """
        weights = None if sample_weight is None else to_array(sample_weight)
        return cls(_edgewise.Data.from_arrays(_arrays(x), _arrays(y), weights, validation_split))

    def with_validation(self, x: object, y: object, sample_weight: object = None) -> Data:
        """The same data with these rows as its validation part."""
        weights = None if sample_weight is None else to_array(sample_weight)
        return Data(self._native.with_validation(_arrays(x), _arrays(y), weights))

    def with_test(self, x: object, y: object) -> Data:
        """The same data with these rows as its test part."""
        return Data(self._native.with_test(_arrays(x), _arrays(y)))

    @property
    def train_size(self) -> int:
        return self._native.train_size

    @property
    def validation_size(self) -> int:
        return self._native.validation_size

    @property
    def test_size(self) -> int:
        return self._native.test_size

    @property
    def class_names(self) -> list[str]:
        """Names of classes 0, 1, ...; empty if the data set does not name them."""
        return self._native.class_names
