"""Edgewise: loads, trains and optimises Keras models natively.

    import edgewise as ew

    model = ew.load_model("base_model.h5")
    data = ew.Data.open("/usr/share/datasets/fashion-mnist")
    optimized = ew.optimize(model, data, quantize=ew.Int8(), prune=ew.Magnitude(0.8))
    ew.save(optimized, "optimized_model.h5")

A program written for Keras runs with its imports changed: `import edgewise as tf`,
`from edgewise.keras.models import load_model`, `from edgewise.keras.optimizers import Adam`.
"""

from edgewise import keras
from edgewise._edgewise import Error, __version__
from edgewise.data import Data
from edgewise.keras.optimizers import SGD, Adam
from edgewise.keras.optimizers.schedules import ExponentialDecay
from edgewise.model import Model, load_model
from edgewise.optimizing import Int8, Magnitude, Optimized, optimize, save

__all__ = [
    "Adam",
    "Data",
    "Error",
    "ExponentialDecay",
    "Int8",
    "Magnitude",
    "Model",
    "Optimized",
    "SGD",
    "__version__",
    "keras",
    "load_model",
    "optimize",
    "save",
]
