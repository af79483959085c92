"""Keras' names for what Edgewise does natively."""

from edgewise.keras import callbacks, losses, metrics, models, optimizers, utils
from edgewise.model import Model

__all__ = ["Model", "callbacks", "losses", "metrics", "models", "optimizers", "utils"]
