#!/usr/bin/env python3
"""Adds to fixtures/ what TensorFlow's converter makes of Keras 3 recurrent layers (WHILE) and of a branch (IF).

    make_loop_fixtures.py        tensorflow 2.21, keras 3.15.1, ai-edge-litert 2.3.0, numpy 2.4.6

The outputs are those of LiteRT's reference kernels; see README.md.
"""
from pathlib import Path

import numpy as np
import tensorflow as tf
from ai_edge_litert import interpreter as litert

ROOT = Path(__file__).parent / "fixtures"
L = tf.keras.layers


def emit(name, data, shape):
    x = np.random.default_rng(41).uniform(-2, 2, shape).astype(np.float32)
    it = litert.Interpreter(model_content=data,
                            experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF)
    it.allocate_tensors()
    it.set_tensor(it.get_input_details()[0]["index"], x)
    it.invoke()
    (ROOT / f"{name}.tflite").write_bytes(data)
    ys = {f"litert{i}": it.get_tensor(d["index"]) for i, d in enumerate(it.get_output_details())}
    np.savez_compressed(ROOT / f"{name}.npz", x0=x, **ys)


def keras(name, layer):
    tf.keras.utils.set_random_seed(41)
    model = tf.keras.Sequential([L.Input((6, 3), batch_size=1), layer])
    emit(name, tf.lite.TFLiteConverter.from_keras_model(model).convert(), (1, 6, 3))


def branch(name, condition):
    @tf.function(input_signature=[tf.TensorSpec((2, 3), tf.float32)])
    def f(x):
        steps = tf.while_loop(lambda n: n * n < 40, lambda n: (n + 3,), (tf.constant(condition),))[0]
        return tf.cond(steps > 8, lambda: tf.tanh(x), lambda: x * 2.0)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([f.get_concrete_function()])
    emit(name, converter.convert(), (2, 3))


keras("while_lstm_f32", L.LSTM(4, return_sequences=True))
keras("while_gru_f32", L.GRU(4))
keras("while_bidirectional_f32", L.Bidirectional(L.LSTM(2, return_sequences=True)))
branch("if_taken_f32", 0)
branch("if_not_taken_f32", 1)
