#!/usr/bin/env python3
"""Makes recurrent float nets that peers.py can open, with random weights.

  make_recurrent.py TARGET

TARGET gets <name>.fp32.onnx, with the operators LSTM and GRU: two layers of 64 units over 100 steps of
32 features, as for a sensor, and one LSTM of 256 units over 50 steps of 40, as for speech. There is no
.tflite: the converter turns Keras' layers into loops. Needs requirements-convert.txt.
"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(1)
# Name: operator, gates, steps, features, units of each layer.
NETS = {"lstm64": ("LSTM", 4, 100, 32, [64, 64]), "lstm256": ("LSTM", 4, 50, 40, [256]),
        "gru64": ("GRU", 3, 100, 32, [64, 64])}


def net(operator, gates, steps, features, layers):
    weights, nodes = [], []

    def constant(name, array):
        weights.append(numpy_helper.from_array(array, name))
        return name

    def real(*shape):
        return RNG.uniform(-1, 1, shape).astype("f") / np.float32(np.sqrt(shape[-1]))

    x = "x"
    width = features
    for n, units in enumerate(layers):
        names = [constant(f"W{n}", real(1, gates * units, width)),
                 constant(f"R{n}", real(1, gates * units, units)),
                 constant(f"B{n}", real(1, 2 * gates * units))]
        extra = {"linear_before_reset": 1} if operator == "GRU" else {}
        is_last = n + 1 == len(layers)
        outputs = ["", f"h{n}"] if is_last else [f"y{n}"]
        nodes.append(helper.make_node(operator, [x, *names], outputs, hidden_size=units, **extra))
        axis = constant(f"axis{n}", np.array([0 if is_last else 1]))
        x = f"s{n}"
        nodes.append(helper.make_node("Squeeze", [outputs[-1], axis], [x]))
        width = units
    nodes.append(helper.make_node("Gemm", [x, constant("W", real(4, width)), constant("b", real(4))],
                                  ["z"], transB=1))
    nodes.append(helper.make_node("Softmax", ["z"], ["y"]))
    graph = helper.make_graph(
        nodes, operator, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [steps, 1, features])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, parts in NETS.items():
        model = net(*parts)
        onnx.checker.check_model(model)
        onnx.save(model, os.path.join(sys.argv[1], name + ".fp32.onnx"))


if __name__ == "__main__":
    main()
