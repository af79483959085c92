#!/usr/bin/env python3
"""A fine-tuning program as people write it for Keras. KERAS_PROGRAM=keras runs it with Keras itself,
anything else with Edgewise: nothing but the imports differs.

    keras_program.py BASE_MODEL.h5 DATA.npz OPTIMIZED_MODEL.h5 [EPOCHS]

DATA.npz holds x_train and y_train (class numbers). Prints the history and the evaluation as JSON.
"""

import json
import os
import sys
from typing import Type

import numpy as np

if os.environ.get("KERAS_PROGRAM") == "keras":
    import tensorflow as tf
    from tensorflow.keras.models import load_model
    from tensorflow.keras.optimizers import Adam, Optimizer
    from tensorflow.keras.optimizers.schedules import ExponentialDecay, LearningRateSchedule
else:
    import edgewise as tf
    from edgewise.keras.models import load_model
    from edgewise.keras.optimizers import Adam, Optimizer
    from edgewise.keras.optimizers.schedules import ExponentialDecay, LearningRateSchedule


def optimize_model(model: tf.keras.Model, optimizer: Type[Optimizer],
                   learning_rate_schedule: LearningRateSchedule, x: np.ndarray, y: np.ndarray,
                   file_path: str, epochs: int = 2) -> tf.keras.Model:
    """Compiles the model, fits it and saves it under file_path."""
    if not isinstance(model, tf.keras.Model):
        raise TypeError("model must be a Keras model")
    if not issubclass(optimizer, Optimizer):
        raise TypeError("optimizer must be a class of Keras optimizers")
    if not isinstance(learning_rate_schedule, LearningRateSchedule):
        raise TypeError("learning_rate_schedule must be a schedule")
    model.compile(optimizer=optimizer(learning_rate=learning_rate_schedule),
                  loss="categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=32, epochs=epochs, shuffle=False, verbose=0)
    model.save(file_path)
    return history


def main() -> None:
    base, data, target = sys.argv[1:4]
    epochs = int(sys.argv[4]) if len(sys.argv) > 4 else 2
    with np.load(data) as arrays:
        x = arrays["x_train"]
        y = tf.keras.utils.to_categorical(arrays["y_train"], 10)
    model = load_model(base)
    schedule = ExponentialDecay(initial_learning_rate=0.01, decay_steps=10000, decay_rate=0.9)
    history = optimize_model(model, Adam, schedule, x, y, target, epochs)
    print(json.dumps({"epoch": list(history.epoch),
                      "history": {k: [float(v) for v in values]
                                  for k, values in history.history.items()},
                      "evaluate": model.evaluate(x, y, verbose=0, return_dict=True)}))


if __name__ == "__main__":
    main()
