"""keras.utils: what programs around fit() use."""

from __future__ import annotations


def to_categorical(x: object, num_classes: int | None = None, dtype: str = "float32") -> object:
    """One-hot rows [..., classes] from whole-number labels [...] or [..., 1]."""
    import numpy

    labels = numpy.asarray(x, dtype="int64")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    classes = num_classes or (int(labels.max()) + 1 if labels.size else 0)
    rows = numpy.zeros((labels.size, classes), dtype)
    rows[numpy.arange(labels.size), labels.reshape(-1)] = 1
    return rows.reshape(*labels.shape, classes)


def set_random_seed(seed: int) -> None:
    """The seed of every fit() that is given none; Python's and NumPy's as well, as in Keras."""
    import random

    import numpy

    from edgewise import model

    model.default_seed = seed
    random.seed(seed)
    numpy.random.seed(seed)
