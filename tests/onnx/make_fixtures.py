#!/usr/bin/env python3
"""Makes tests/onnx/fixtures: small models, inputs, and what ONNX Runtime computes from them.

    pip install onnx==1.17.0 onnxruntime==1.32.0 numpy
    tests/onnx/make_fixtures.py tests/onnx/fixtures

Each folder has the form of ONNX' own backend tests, which onnx_node_tests runs, plus a file `bar`:
the largest difference allowed as a share of the largest |output|. Float models have 1e-5; quantised
ones a few steps of the last scale, because ONNX Runtime rescales in float and we in fixed point.
"""

import pathlib
import shutil
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

ort.set_default_logger_severity(3)
RNG = np.random.default_rng(7)
NODE = h.make_node


def weight(name, *shape, scale=0.4):
    return nh.from_array((RNG.standard_normal(shape) * scale).astype("f"), name)


def ints(name, *values):
    return nh.from_array(np.array(values, np.int64), name)


def port(name, shape, kind=T.FLOAT):
    return h.make_tensor_value_info(name, kind, shape)


def model(nodes, inputs, outputs, weights=(), opset=17, ir=8, functions=()):
    graph = h.make_graph(nodes, "g", inputs, outputs, list(weights))
    opsets = [h.make_opsetid("", opset)] + [h.make_opsetid("own", 1)] * bool(functions)
    m = h.make_model(graph, opset_imports=opsets, ir_version=ir, functions=list(functions),
                     producer_name="edgewise tests")
    if all(o.type.tensor_type.HasField("shape") for o in graph.output):
        onnx.checker.check_model(m)
    return m


def cnn(opset):
    """Convolutions of every kind, batch normalisation, pools, a head."""
    nodes = [
        NODE("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1], strides=[2, 2]),
        NODE("BatchNormalization", ["c1", "g", "be", "mu", "va"], ["n1"]),
        NODE("Relu", ["n1"], ["r1"]),
        NODE("Conv", ["r1", "w2"], ["c2"], group=8, auto_pad="SAME_UPPER"),
        NODE("LeakyRelu", ["c2"], ["r2"], alpha=0.2),
        NODE("Conv", ["r2", "w3"], ["c3"], group=2, dilations=[2, 2], pads=[2, 2, 2, 2]),
        NODE("Add", ["c3", "r1"], ["s"]),
        NODE("MaxPool", ["s"], ["p"], kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
        NODE("AveragePool", ["p"], ["a"], kernel_shape=[2, 2], pads=[1, 1, 0, 0],
             count_include_pad=1),
        NODE("GlobalAveragePool", ["a"], ["gp"]),
        NODE("Flatten", ["gp"], ["f"]),
        NODE("Gemm", ["f", "w4", "b4"], ["z"], transB=1),
        NODE("Softmax", ["z"], ["y"], axis=1),
    ]
    weights = [weight("w1", 8, 3, 3, 3), weight("b1", 8), weight("w2", 8, 1, 3, 3),
               weight("w3", 8, 4, 3, 3), weight("w4", 5, 8), weight("b4", 5), weight("g", 8),
               weight("be", 8), weight("mu", 8),
               nh.from_array(RNG.uniform(0.5, 1, 8).astype("f"), "va")]
    return model(nodes, [port("x", ["N", 3, 17, 15])], [port("y", ["N", 5])], weights, opset)


def open_shapes():
    """Chains of Shape, Gather, Concat, Reshape with an open batch."""
    nodes = [
        NODE("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        NODE("Shape", ["c"], ["s"]), NODE("Gather", ["s", "zero"], ["n"]),
        NODE("Unsqueeze", ["n", "axis"], ["n1"]),
        NODE("Concat", ["n1", "rest"], ["target"], axis=0),
        NODE("Reshape", ["c", "target"], ["r"]),
        NODE("MatMul", ["r", "m"], ["d"]),
        NODE("ReduceMean", ["d"], ["y"], axes=[1], keepdims=0),
    ]
    weights = [weight("w", 4, 2, 3, 3), nh.from_array(np.array(0, np.int64), "zero"),
               ints("axis", 0), ints("rest", 4, -1), weight("m", 36, 3)]
    return model(nodes, [port("x", ["N", 2, 6, 6])], [port("y", ["N", 3])], weights)


def transformer():
    """Attention with Einsum, layer normalisation, GELU by its parts."""
    nodes = [
        NODE("LayerNormalization", ["x", "g", "b"], ["n"], axis=-1),
        NODE("MatMul", ["n", "wq"], ["q0"]), NODE("MatMul", ["n", "wk"], ["k0"]),
        NODE("MatMul", ["n", "wv"], ["v0"]),
        NODE("Reshape", ["q0", "heads"], ["q"]), NODE("Reshape", ["k0", "heads"], ["k"]),
        NODE("Reshape", ["v0", "heads"], ["v"]),
        NODE("Einsum", ["q", "k"], ["a0"], equation="bthd,bshd->bhts"),
        NODE("Mul", ["a0", "scale"], ["a1"]), NODE("Softmax", ["a1"], ["a"], axis=-1),
        NODE("Einsum", ["a", "v"], ["o0"], equation="bhts,bshd->bthd"),
        NODE("Reshape", ["o0", "flat"], ["o"]), NODE("Add", ["o", "x"], ["r"]),
        NODE("Div", ["r", "root"], ["e0"]), NODE("Erf", ["e0"], ["e"]),
        NODE("Add", ["e", "one"], ["e1"]), NODE("Mul", ["r", "e1"], ["y"]),
    ]
    weights = [weight("g", 8), weight("b", 8), weight("wq", 8, 8), weight("wk", 8, 8),
               weight("wv", 8, 8), ints("heads", 0, 0, 2, 4), ints("flat", 0, 0, 8),
               nh.from_array(np.float32(0.5), "scale"), nh.from_array(np.float32(2**0.5), "root"),
               nh.from_array(np.float32(1), "one")]
    return model(nodes, [port("x", [2, 5, 8])], [port("y", [2, 5, 8])], weights)


def recurrent():
    """LSTM both ways, GRU backwards with lengths, RNN; batch in the middle."""
    nodes = [
        NODE("LSTM", ["x", "wl", "rl", "bl"], ["l", "lh", "lc"], hidden_size=4,
             direction="bidirectional"),
        NODE("GRU", ["x", "wg", "rg", "bg", "len"], ["g", "gh"], hidden_size=3,
             direction="reverse", linear_before_reset=1),
        NODE("RNN", ["x", "wr", "rr"], ["", "rh"], hidden_size=2, activations=["Relu"]),
    ]
    weights = [weight("wl", 2, 16, 3), weight("rl", 2, 16, 4), weight("bl", 2, 32),
               weight("wg", 1, 9, 3), weight("rg", 1, 9, 3), weight("bg", 1, 18),
               weight("wr", 1, 2, 3), weight("rr", 1, 2, 2),
               nh.from_array(np.array([5, 2], np.int32), "len")]
    outputs = [port("l", [5, 2, 2, 4]), port("lh", [2, 2, 4]), port("lc", [2, 2, 4]),
               port("g", [5, 1, 2, 3]), port("gh", [1, 2, 3]), port("rh", [1, 2, 2])]
    return model(nodes, [port("x", [5, 2, 3])], outputs, weights)


def upsampling():
    """Transposed convolutions and every common Resize."""
    nodes = [
        NODE("ConvTranspose", ["x", "w", "b"], ["t"], strides=[2, 2], pads=[1, 0, 1, 1],
             output_padding=[1, 0], group=2),
        NODE("Resize", ["t", "", "s2"], ["r1"], mode="nearest",
             coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        NODE("Resize", ["t", "", "", "size"], ["r2"], mode="linear"),
        NODE("Resize", ["t", "", "", "size"], ["r3"], mode="linear",
             coordinate_transformation_mode="align_corners"),
        NODE("Resize", ["t", "", "", "size"], ["r4"], mode="cubic"),
        NODE("Resize", ["t", "", "", "size"], ["r5"], mode="linear",
             coordinate_transformation_mode="pytorch_half_pixel"),
        NODE("Concat", ["r2", "r3", "r4", "r5"], ["y2"], axis=1),
    ]
    weights = [weight("w", 4, 2, 3, 3), weight("b", 4),
               nh.from_array(np.array([1, 1, 2, 2], "f"), "s2"), ints("size", 1, 4, 7, 13)]
    return model(nodes, [port("x", [1, 4, 5, 4])],
                 [port("r1", None), port("y2", None)], weights)


def integers():
    """Selection, comparison and indices, with several outputs."""
    nodes = [
        NODE("TopK", ["x", "k"], ["v", "i"], axis=-1),
        NODE("ArgMax", ["x"], ["am"], axis=1, keepdims=0),
        NODE("Greater", ["x", "zero"], ["mask"]), NODE("Where", ["mask", "x", "zero"], ["w"]),
        NODE("CumSum", ["w", "axis"], ["c"]), NODE("GatherElements", ["x", "i"], ["g"], axis=-1),
        NODE("Cast", ["mask"], ["count"], to=T.INT64),
        NODE("ReduceSum", ["count", "axes"], ["n"], keepdims=0),
        NODE("ScatterND", ["x", "where", "rows"], ["s"]),
        NODE("Slice", ["s", "from", "to", "ax", "step"], ["sl"]),
    ]
    weights = [ints("k", 3), nh.from_array(np.float32(0), "zero"),
               nh.from_array(np.array(1, np.int64), "axis"), ints("axes", 1),
               nh.from_array(np.array([[2], [0]], np.int64), "where"), weight("rows", 2, 6),
               ints("from", -1), ints("to", -100), ints("ax", 1), ints("step", -2)]
    outputs = [port("v", None), port("i", None, T.INT64), port("am", None, T.INT64),
               port("c", None), port("g", None), port("n", None, T.INT64), port("sl", None)]
    return model(nodes, [port("x", [4, 6])], outputs, weights)


def control():
    """A branch and a loop whose course is fixed, and a function of the model's own."""
    then = h.make_graph([NODE("Mul", ["x", "two"], ["t"])], "then", [], [port("t", [3])])
    other = h.make_graph([NODE("Neg", ["x"], ["e"])], "else", [], [port("e", [3])])
    body = h.make_graph(
        [NODE("Add", ["a", "x"], ["a1"]), NODE("Identity", ["go"], ["go1"])], "body",
        [port("i", [], T.INT64), port("go", [], T.BOOL), port("a", [3])],
        [port("go1", [], T.BOOL), port("a1", [3])])
    scaled = h.make_function(
        "own", "Scaled", ["v"], ["o"],
        [NODE("Constant", [], ["k"], value_float=3.0), NODE("Mul", ["v", "k"], ["o"])],
        [h.make_opsetid("", 17)])
    nodes = [NODE("If", ["yes"], ["b"], then_branch=then, else_branch=other),
             NODE("Loop", ["trips", "yes", "b"], ["l"], body=body),
             NODE("Scaled", ["l"], ["y"], domain="own")]
    weights = [nh.from_array(np.float32(2), "two"), nh.from_array(np.array(True), "yes"),
               nh.from_array(np.array(4, np.int64), "trips")]
    return model(nodes, [port("x", [3])], [port("y", [3])], weights, functions=[scaled])


def quantised(float_model, per_channel, kind):
    """The static QDQ form that ONNX Runtime's own tool makes."""
    from onnxruntime.quantization import (CalibrationDataReader, QuantFormat, QuantType,
                                          quantize_static)

    class Reader(CalibrationDataReader):
        def __init__(self):
            shape = [2 if not d.dim_value else d.dim_value
                     for d in float_model.graph.input[0].type.tensor_type.shape.dim]
            self.rows = iter([{"x": RNG.standard_normal(shape).astype("f")} for _ in range(8)])

        def get_next(self):
            return next(self.rows, None)

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        onnx.save(float_model, path / "float.onnx")
        quantize_static(path / "float.onnx", path / "int8.onnx", Reader(),
                        quant_format=QuantFormat.QDQ if kind == "qdq" else QuantFormat.QOperator,
                        per_channel=per_channel, activation_type=QuantType.QUInt8,
                        weight_type=QuantType.QInt8)
        return onnx.load(path / "int8.onnx")


def plain_cnn():
    """What the quantiser's tool covers end to end."""
    nodes = [
        NODE("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]), NODE("Relu", ["c1"], ["r1"]),
        NODE("Conv", ["r1", "w2", "b2"], ["c2"], pads=[1, 1, 1, 1], group=8),
        NODE("Add", ["c2", "r1"], ["s"]),
        NODE("MaxPool", ["s"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        NODE("GlobalAveragePool", ["p"], ["gp"]), NODE("Flatten", ["gp"], ["f"]),
        NODE("Gemm", ["f", "w4", "b4"], ["y"], transB=1),
    ]
    weights = [weight("w1", 8, 3, 3, 3), weight("b1", 8), weight("w2", 8, 1, 3, 3),
               weight("b2", 8), weight("w4", 5, 8), weight("b4", 5)]
    return model(nodes, [port("x", ["N", 3, 8, 8])], [port("y", ["N", 5])], weights, opset=13)


def write(folder, m, bar, batch=2, external=False):
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    path = folder / "model.onnx"
    onnx.save(m, path, save_as_external_data=external, all_tensors_to_one_file=True,
              location="weights.bin", size_threshold=0)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feeds = {}
    for i, entry in enumerate(session.get_inputs()):
        shape = [d if isinstance(d, int) else batch for d in entry.shape]
        feeds[entry.name] = RNG.standard_normal(shape).astype("f")
        (data / f"input_{i}.pb").write_bytes(
            nh.from_array(feeds[entry.name], entry.name).SerializeToString())
    for i, (entry, y) in enumerate(zip(session.get_outputs(), session.run(None, feeds))):
        (data / f"output_{i}.pb").write_bytes(
            nh.from_array(np.ascontiguousarray(y), entry.name).SerializeToString())
    (folder / "bar").write_text(f"{bar}\n")


def main():
    target = pathlib.Path(sys.argv[1])
    shutil.rmtree(target, ignore_errors=True)
    for opset in (7, 9, 11, 13, 17, 22):
        write(target / f"cnn_opset{opset}", cnn(opset), 1e-5)
    for build in (open_shapes, transformer, recurrent, upsampling, integers, control):
        write(target / build.__name__, build(), 1e-5)
    write(target / "external_data", cnn(17), 1e-5, external=True)
    base = plain_cnn()
    write(target / "qdq_per_channel", quantised(base, True, "qdq"), 0.05)
    write(target / "qdq_per_tensor", quantised(base, False, "qdq"), 0.05)
    write(target / "qoperator", quantised(base, True, "qoperator"), 0.05)


if __name__ == "__main__":
    main()
