#!/usr/bin/env python3
"""Writes base_model.h5: an untrained autoencoder of 32 samples of arterial pressure.

    pip install tensorflow==2.21 keras==3.15.1
    examples/pressure/make_base_model.py

It takes millimetres of mercury and gives them back; the two Rescaling layers bring them near one.
"""

import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras

keras.utils.set_random_seed(1)
layers = keras.layers
model = keras.Sequential(
    [
        keras.Input((32,), name="window"),
        layers.Rescaling(1 / 16, offset=-5.25, name="to_units"),
        layers.Dense(16, activation="relu", name="encode"),
        layers.Dense(6, name="code"),
        layers.Dense(16, activation="relu", name="decode"),
        layers.Dense(32, name="window_again"),
        layers.Rescaling(16.0, offset=84.0, name="to_mmhg"),
    ],
    name="pressure_autoencoder",
)
schedule = keras.optimizers.schedules.ExponentialDecay(0.005, decay_steps=1000, decay_rate=0.6)
model.compile(optimizer=keras.optimizers.Adam(schedule), loss="mse")
model.save(Path(__file__).parent / "base_model.h5")
