#!/usr/bin/env python3
"""Writes the three nets of the training benchmark with real Keras: mlp.h5, resnet8.h5, dscnn.h5.

    python make_nets.py FOLDER
"""

import os
import sys

import keras

import train_bench


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for net in train_bench.SHAPE:
        keras.utils.set_random_seed(1)
        train_bench.keras_net(net).save(os.path.join(folder, f"{net}.h5"), include_optimizer=False)


if __name__ == "__main__":
    main()
