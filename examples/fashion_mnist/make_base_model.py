#!/usr/bin/env python3
"""Trains base_model.h5, the model that ./demo starts from, with real Keras.

    pip install keras==3.15.1 tensorflow-cpu==2.21.0       (or KERAS_BACKEND=jax or torch)
    python make_base_model.py /usr/share/datasets/fashion-mnist base_model.h5

A small CNN for Fashion-MNIST (28x28x1, pixels 0..255, ten kinds of clothing). The best epoch on the
last tenth of the training part is kept; the test part is only measured.
"""

import gzip
import sys

import keras
import numpy as np
from keras import layers


def read_idx(path):
    """An IDX file (gzip) as an array."""
    with gzip.open(path) as f:
        data = f.read()
    rank = data[3]
    shape = np.frombuffer(data, ">i4", rank, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def main():
    folder, out = sys.argv[1:3]
    keras.utils.set_random_seed(1)
    x = read_idx(f"{folder}/train-images-idx3-ubyte.gz")[..., None].astype("float32")
    y = keras.utils.to_categorical(read_idx(f"{folder}/train-labels-idx1-ubyte.gz"), 10)
    xt = read_idx(f"{folder}/t10k-images-idx3-ubyte.gz")[..., None].astype("float32")
    yt = keras.utils.to_categorical(read_idx(f"{folder}/t10k-labels-idx1-ubyte.gz"), 10)

    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Dropout(0.4),
            layers.Flatten(),
            layers.Dense(96, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ]
    )
    decay = keras.optimizers.schedules.CosineDecay(1e-3, decay_steps=14 * 422, alpha=0.01)
    model.compile(keras.optimizers.Adam(decay), "categorical_crossentropy", metrics=["accuracy"])
    best = keras.callbacks.ModelCheckpoint("best.weights.h5", "val_accuracy", mode="max",
                                           save_best_only=True, save_weights_only=True)
    model.fit(x, y, batch_size=128, epochs=14, validation_split=0.1, callbacks=[best], verbose=2)
    model.load_weights("best.weights.h5")
    # A fresh compile: the file carries what to train with, and no slots.
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.01, 10000, 0.9)),
                  "categorical_crossentropy", metrics=["accuracy"])
    print("test", model.evaluate(xt, yt, verbose=0))
    model.save(out)


if __name__ == "__main__":
    main()
