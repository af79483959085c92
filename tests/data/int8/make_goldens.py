#!/usr/bin/env python3
"""Writes goldens.txt: single-operator int8 models run by TensorFlow Lite Micro and by LiteRT's
reference kernels. Needs numpy, tflite-micro and ai-edge-litert (README.md has the versions)."""
import os
import sys

import numpy as np
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema
import flatbuffers
from tflite_micro.python.tflite_micro import runtime as tflm

rng = np.random.default_rng(7)
OUT = []


def quant(scale, zero, axis=None):
    q = schema.QuantizationParametersT()
    q.scale = [float(s) for s in np.atleast_1d(np.float32(scale))]
    q.zeroPoint = [int(z) for z in np.broadcast_to(np.atleast_1d(zero), (len(q.scale),))]
    q.quantizedDimension = axis or 0
    return q


class Model:
    """One operator. Tensors are (name, numpy array or shape, dtype, scale, zero, axis)."""

    def __init__(self):
        self.m = schema.ModelT()
        self.m.version = 3
        self.m.buffers = [schema.BufferT()]
        self.g = schema.SubGraphT()
        self.g.tensors = []
        self.m.subgraphs = [self.g]

    def tensor(self, name, shape, dtype, q, data=None):
        t = schema.TensorT()
        t.name, t.shape, t.quantization = name, list(shape), q
        t.type = {np.int8: schema.TensorType.INT8, np.int32: schema.TensorType.INT32,
                  np.float32: schema.TensorType.FLOAT32}[dtype]
        t.buffer = 0
        if data is not None:
            b = schema.BufferT()
            b.data = np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8)
            self.m.buffers.append(b)
            t.buffer = len(self.m.buffers) - 1
        self.g.tensors.append(t)
        return len(self.g.tensors) - 1

    def build(self, code, options_type, options, inputs, outputs, graph_inputs):
        oc = schema.OperatorCodeT()
        oc.builtinCode = code
        oc.deprecatedBuiltinCode = min(code, 127)
        oc.version = 1 if code != schema.BuiltinOperator.LEAKY_RELU else 2
        if code in VERSIONS:
            oc.version = VERSIONS[code]
        self.m.operatorCodes = [oc]
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = 0, inputs, outputs
        op.builtinOptionsType, op.builtinOptions = options_type, options
        self.g.operators = [op]
        self.g.inputs, self.g.outputs = graph_inputs, outputs
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.m.Pack(builder), b"TFL3")
        return bytes(builder.Output())


B = schema.BuiltinOperator
O = schema.BuiltinOptions
VERSIONS = {B.CONV_2D: 3, B.DEPTHWISE_CONV_2D: 3, B.FULLY_CONNECTED: 4, B.ADD: 2, B.MUL: 2, B.SUB: 2,
            B.SOFTMAX: 2, B.LOGISTIC: 2, B.TANH: 2, B.AVERAGE_POOL_2D: 2, B.MAX_POOL_2D: 2,
            B.MEAN: 2, B.RELU: 2, B.RELU6: 2, B.QUANTIZE: 2, B.DEQUANTIZE: 2, B.HARD_SWISH: 1}


def run_tflm(model, inputs):
    it = tflm.Interpreter.from_bytes(model, arena_size=1 << 20)
    for i, x in enumerate(inputs):
        it.set_input(x, i)
    it.invoke()
    return np.array(it.get_output(0))


def run_litert(model, inputs):
    it = litert.Interpreter(
        model_content=model,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF)
    it.allocate_tensors()
    for d, x in zip(it.get_input_details(), inputs):
        it.set_tensor(d["index"], x)
    it.invoke()
    return it.get_tensor(it.get_output_details()[0]["index"]).copy()


def hexed(a):
    return np.ascontiguousarray(a).tobytes().hex() or "-"


def line(kind, name, a, q=None):
    a = np.asarray(a)
    scales = ",".join(float(s).hex() for s in q.scale) if q else "-"
    zeros = ",".join(str(z) for z in q.zeroPoint) if q else "-"
    shape = ",".join(map(str, a.shape)) or "-"
    return f"{kind} {name} {a.dtype} {shape} {scales} {zeros} {hexed(a)}"


def emit(op, attrs, inputs, out_quant, model, graph_inputs):
    """inputs: (name, array in our layout, quantisation)."""
    y = run_tflm(model, graph_inputs)
    z = run_litert(model, graph_inputs)
    OUT.append("case " + op + "".join(f" {k}={v}" for k, v in attrs.items()))
    for name, a, q in inputs:
        OUT.append(line("in", name, a, q))
    OUT.append(line("tflm", "y", y, out_quant))
    if np.array_equal(y, z):
        OUT.append("same")
    else:
        OUT.append(line("litert", "y", z, out_quant))
        print(f"{op} {attrs}: litert differs in {np.count_nonzero(y != z)} of {y.size}, by up to "
              f"{np.abs(y.astype(int) - z.astype(int)).max()}")


def int8s(*shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def out_scale(acc, s, saturation=1.0):
    """A scale that uses the whole int8 range for typical accumulators."""
    return np.float32(3 * np.std(acc) * np.mean(s) / 127 * saturation)


ACT = {0: {}, 1: {"clamp_min": 0}, 3: {"clamp_min": 0, "clamp_max": 6}}


def conv(h, w, c, o, k, stride, padding, act, depthwise=False, multiplier=1):
    m = Model()
    sx, zx = np.float32(rng.uniform(0.005, 0.1)), int(rng.integers(-128, 128))
    channels = c * multiplier if depthwise else o
    sw = rng.uniform(0.0005, 0.02, channels).astype(np.float32)
    sy, zy = np.float32(sx * np.mean(sw) * np.sqrt(k * k * (1 if depthwise else c)) * 40), int(
        rng.integers(-40, 40))
    if act:
        zy = -128
    x = int8s(1, h, w, c)
    weights = rng.integers(-127, 128, (1 if depthwise else o, k, k, channels if depthwise else c)
                           ).astype(np.int8)
    bias = rng.integers(-4000, 4000, channels).astype(np.int32)
    qx, qw, qb, qy = (quant(sx, zx), quant(sw, 0, 3 if depthwise else 0),
                      quant(sx * sw, 0, 0), quant(sy, zy))
    same = padding == schema.Padding.SAME
    oh = -(-h // stride) if same else (h - k) // stride + 1
    ow = -(-w // stride) if same else (w - k) // stride + 1
    i = [m.tensor("x", x.shape, np.int8, qx), m.tensor("w", weights.shape, np.int8, qw, weights),
         m.tensor("b", bias.shape, np.int32, qb, bias)]
    y = m.tensor("y", (1, oh, ow, channels), np.int8, qy)
    options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = padding, stride, stride
    options.dilationHFactor = options.dilationWFactor = 1
    options.fusedActivationFunction = act
    if depthwise:
        options.depthMultiplier = multiplier
    model = m.build(B.DEPTHWISE_CONV_2D if depthwise else B.CONV_2D,
                    O.DepthwiseConv2DOptions if depthwise else O.Conv2DOptions, options, i, [y],
                    [i[0]])
    ours = (weights.reshape(k, k, c, multiplier) if depthwise else weights.transpose(1, 2, 3, 0))
    emit("depthwise_conv" if depthwise else "conv",
         {"strides": f"{stride},{stride}", "padding": "same" if same else "valid", **ACT[act]},
         [("x", x, qx), ("w", ours, qw), ("b", bias, qb)], qy, model, [x])


def dense(rows, k, n, act, per_channel):
    m = Model()
    sx, zx = np.float32(rng.uniform(0.005, 0.1)), int(rng.integers(-128, 128))
    sw = rng.uniform(0.0005, 0.02, n if per_channel else 1).astype(np.float32)
    sy, zy = np.float32(sx * np.mean(sw) * np.sqrt(k) * 60), -128 if act else int(
        rng.integers(-40, 40))
    x, w = int8s(rows, k), rng.integers(-127, 128, (n, k)).astype(np.int8)
    b = rng.integers(-4000, 4000, n).astype(np.int32)
    qx, qw, qb, qy = quant(sx, zx), quant(sw, 0, 0), quant(sx * sw, 0, 0), quant(sy, zy)
    i = [m.tensor("x", x.shape, np.int8, qx), m.tensor("w", w.shape, np.int8, qw, w),
         m.tensor("b", b.shape, np.int32, qb, b)]
    y = m.tensor("y", (rows, n), np.int8, qy)
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = act
    model = m.build(B.FULLY_CONNECTED, O.FullyConnectedOptions, options, i, [y], [i[0]])
    emit("dense", dict(ACT[act]), [("x", x, qx), ("w", w.T, qw), ("b", b, qb)], qy, model, [x])


def pairs(code, options_type, options, name, act, sa, za, sb, zb, sy, zy):
    """All 65,536 pairs would be large; a Latin sample of 4,096 holds every value of each input."""
    m = Model()
    a = np.resize(rng.permutation(256), 4096).astype(np.int16) - 128
    b = np.concatenate([rng.permutation(256) for _ in range(16)]).astype(np.int16) - 128
    a, b = a.astype(np.int8).reshape(1, 64, 64), b.astype(np.int8).reshape(1, 64, 64)
    qa, qb, qy = quant(sa, za), quant(sb, zb), quant(sy, zy)
    i = [m.tensor("a", a.shape, np.int8, qa), m.tensor("b", b.shape, np.int8, qb)]
    y = m.tensor("y", a.shape, np.int8, qy)
    options.fusedActivationFunction = act
    model = m.build(code, options_type, options, i, [y], i)
    emit(name, dict(ACT[act]), [("a", a, qa), ("b", b, qb)], qy, model, [a, b])


def unary(code, options_type, options, name, attrs, sx, zx, sy, zy, shape=(1, 256), x=None):
    m = Model()
    if x is None:
        x = np.arange(-128, 128).astype(np.int8).reshape(shape)
    qx, qy = quant(sx, zx), quant(sy, zy)
    i = m.tensor("x", x.shape, np.int8, qx)
    y = m.tensor("y", x.shape, np.int8, qy)
    model = m.build(code, options_type, options, [i], [y], [i])
    emit(name, attrs, [("x", x, qx)], qy, model, [x])


def pool(code, name, h, w, c, size, stride, padding):
    m = Model()
    x, q = int8s(1, h, w, c), quant(0.05, -3)
    same = padding == schema.Padding.SAME
    oh = -(-h // stride) if same else (h - size) // stride + 1
    ow = -(-w // stride) if same else (w - size) // stride + 1
    i = m.tensor("x", x.shape, np.int8, q)
    y = m.tensor("y", (1, oh, ow, c), np.int8, q)
    options = schema.Pool2DOptionsT()
    options.padding, options.strideH, options.strideW = padding, stride, stride
    options.filterHeight = options.filterWidth = size
    options.fusedActivationFunction = 0
    model = m.build(code, O.Pool2DOptions, options, [i], [y], [i])
    emit(name, {"pool": f"{size},{size}", "strides": f"{stride},{stride}",
                "padding": "same" if same else "valid"}, [("x", x, q)], q, model, [x])


def mean(h, w, c, sx, zx, sy, zy):
    m = Model()
    x, qx, qy = int8s(1, h, w, c), quant(sx, zx), quant(sy, zy)
    i = m.tensor("x", x.shape, np.int8, qx)
    axes = m.tensor("axes", (2,), np.int32, None, np.array([1, 2]))
    y = m.tensor("y", (1, c), np.int8, qy)
    options = schema.ReducerOptionsT()
    options.keepDims = False
    model = m.build(B.MEAN, O.ReducerOptions, options, [i, axes], [y], [i])
    emit("reduce_mean", {"axes": "1,2"}, [("x", x, qx)], qy, model, [x])


def borders():
    m = Model()
    x = np.concatenate([rng.normal(0, 3, 200), (np.arange(-128, 128) + 0.5) * 0.05, [100, -100]])
    x = x.astype(np.float32).reshape(1, -1)
    q = quant(0.05, 7)
    i, y = m.tensor("x", x.shape, np.float32, None), m.tensor("y", x.shape, np.int8, q)
    emit("quantize", {}, [("x", x, None)], q,
         m.build(B.QUANTIZE, O.QuantizeOptions, schema.QuantizeOptionsT(), [i], [y], [i]), [x])
    m = Model()
    x = np.arange(-128, 128).astype(np.int8).reshape(1, 256)
    q = quant(0.0371, -11)
    i, y = m.tensor("x", x.shape, np.int8, q), m.tensor("y", x.shape, np.float32, None)
    emit("dequantize", {}, [("x", x, q)], None,
         m.build(B.DEQUANTIZE, O.DequantizeOptions, schema.DequantizeOptionsT(), [i], [y], [i]),
         [x])


def main():
    same, valid = schema.Padding.SAME, schema.Padding.VALID
    conv(7, 6, 5, 9, 3, 1, same, 1)
    conv(8, 8, 3, 8, 3, 2, same, 0)
    conv(5, 5, 16, 12, 1, 1, valid, 3)
    conv(9, 4, 4, 6, 3, 1, valid, 0)
    conv(7, 7, 6, 0, 3, 1, same, 1, depthwise=True)
    conv(8, 9, 5, 0, 3, 2, same, 3, depthwise=True)
    conv(6, 6, 3, 0, 3, 1, valid, 0, depthwise=True, multiplier=4)
    dense(200, 64, 32, 0, False)
    dense(8, 100, 16, 1, False)
    dense(200, 64, 32, 0, True)
    pairs(B.ADD, O.AddOptions, schema.AddOptionsT(), "add", 0, 0.031, -5, 0.047, 12, 0.062, -3)
    pairs(B.ADD, O.AddOptions, schema.AddOptionsT(), "add", 1, 0.1, -128, 0.0123, 90, 0.09, -128)
    pairs(B.SUB, O.SubOptions, schema.SubOptionsT(), "sub", 0, 0.031, -5, 0.047, 12, 0.062, -3)
    pairs(B.MUL, O.MulOptions, schema.MulOptionsT(), "mul", 0, 0.031, -5, 0.047, 12, 0.08, -3)
    pairs(B.MUL, O.MulOptions, schema.MulOptionsT(), "mul", 3, 0.031, -5, 0.047, 12, 0.04, -128)
    for sx, zx in [(0.05, 3), (0.0021, -90), (0.31, 100)]:
        unary(B.LOGISTIC, O.NONE, None, "sigmoid", {}, sx, zx, 1 / 256, -128)
        unary(B.TANH, O.NONE, None, "tanh", {}, sx, zx, 1 / 128, 0)
    for sx, zx, sy, zy in [(0.05, 3, 0.03, -120), (0.0293, -90, 0.0271, -110)]:
        unary(B.HARD_SWISH, O.NONE, None, "hard_silu", {}, sx, zx, sy, zy)
        unary(B.RELU, O.NONE, None, "relu", {}, sx, zx, sy, zy)
        leaky = schema.LeakyReluOptionsT()
        leaky.alpha = 0.2
        unary(B.LEAKY_RELU, O.LeakyReluOptions, leaky, "leaky_relu",
              {"alpha": float(np.float32(0.2))}, sx, zx, sy, zy)
        unary(B.QUANTIZE, O.QuantizeOptions, schema.QuantizeOptionsT(), "quantize", {}, sx, zx, sy,
              zy)
    unary(B.RELU6, O.NONE, None, "relu6", {}, 0.06, -20, 0.06, -20)
    beta = schema.SoftmaxOptionsT()
    beta.beta = 1.0
    for sx, zx in [(0.08, 3), (0.0123, -90), (0.9, 100)]:
        unary(B.SOFTMAX, O.SoftmaxOptions, beta, "softmax", {}, sx, zx, 1 / 256, -128,
              x=np.concatenate([int8s(20, 10), rng.integers(60, 70, (20, 10)).astype(np.int8)]))
    unary(B.SOFTMAX, O.SoftmaxOptions, beta, "softmax", {}, 0.1, 0, 1 / 256, -128, x=int8s(6, 100))
    pool(B.AVERAGE_POOL_2D, "avg_pool", 8, 8, 5, 2, 2, valid)
    pool(B.AVERAGE_POOL_2D, "avg_pool", 7, 7, 4, 3, 2, same)
    pool(B.MAX_POOL_2D, "max_pool", 7, 7, 4, 3, 2, same)
    mean(5, 5, 8, 0.04, -12, 0.033, 5)
    mean(8, 8, 16, 0.04, -128, 0.021, -128)
    mean(3, 7, 8, 0.02, 17, 0.05, -2)
    borders()
    target = os.path.join(os.path.dirname(os.path.abspath(__file__)), "goldens.txt")
    with open(target, "w", encoding="ascii") as f:
        f.write("\n".join(OUT) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
