#!/usr/bin/env python3
"""Makes base_model.h5 with real Keras: the untrained model that the snippet benchmark starts from.

    pip install keras==3.15.1 tensorflow-cpu==2.21.0
    python make_base_model.py base_model.h5
"""

import sys

import keras
from keras import layers

keras.utils.set_random_seed(7)
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(), "categorical_crossentropy", metrics=["accuracy"])
model.save(sys.argv[1])
