#!/usr/bin/env python3
"""Writes fixtures/: TFLite models of one operator (or a few), inputs, and what two peers computed.

    make_fixtures.py [FOLDER]

NAME.tflite is the model; NAME.npz holds its inputs x0, ..., the outputs litert0, ... of LiteRT's
reference kernels (OpResolverType.BUILTIN_REF), and tflm0, ... of tflite-micro where it has the
operator. Versions: README.md.
"""
import sys
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema
from tflite_micro.python.tflite_micro import runtime as tflm

B, O, T = schema.BuiltinOperator, schema.BuiltinOptions, schema.TensorType
TYPES = {np.dtype(np.float32): T.FLOAT32, np.dtype(np.float16): T.FLOAT16,
         np.dtype(np.int8): T.INT8, np.dtype(np.uint8): T.UINT8, np.dtype(np.int16): T.INT16,
         np.dtype(np.int32): T.INT32, np.dtype(np.int64): T.INT64, np.dtype(np.bool_): T.BOOL,
         np.dtype(np.complex64): T.COMPLEX64}
VERSIONS = {B.CONV_2D: 3, B.DEPTHWISE_CONV_2D: 3, B.FULLY_CONNECTED: 4, B.TRANSPOSE_CONV: 3,
            B.RESIZE_BILINEAR: 3, B.RESIZE_NEAREST_NEIGHBOR: 3}
ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "fixtures")
rng = np.random.default_rng(23)


class Model:
    """Tensors by name; operators in order."""

    def __init__(self):
        self.m, self.g = schema.ModelT(), schema.SubGraphT()
        self.m.version, self.m.buffers, self.m.subgraphs = 3, [schema.BufferT()], [self.g]
        self.m.operatorCodes = []
        self.g.tensors, self.g.operators, self.g.inputs, self.g.outputs = [], [], [], []

    def tensor(self, shape, dtype, quant=None, data=None, sparsity=None):
        t = schema.TensorT()
        t.name, t.shape, t.type = f"t{len(self.g.tensors)}", list(shape), TYPES[np.dtype(dtype)]
        t.buffer, t.sparsity = 0, sparsity
        if quant is not None:
            scale, zero, axis = (*quant, 0)[:3]
            t.quantization = schema.QuantizationParametersT()
            t.quantization.scale = [float(s) for s in np.atleast_1d(np.float32(scale))]
            t.quantization.zeroPoint = [int(zero)] * len(t.quantization.scale)
            t.quantization.quantizedDimension = axis
        if data is not None:
            b = schema.BufferT()
            b.data = np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8)
            self.m.buffers.append(b)
            t.buffer = len(self.m.buffers) - 1
        self.g.tensors.append(t)
        return len(self.g.tensors) - 1

    def const(self, data, dtype=np.int32, quant=None):
        data = np.asarray(data, dtype)
        return self.tensor(data.shape, dtype, quant, data)

    def op(self, code, inputs, outputs, name=None, **fields):
        codes = [c.builtinCode for c in self.m.operatorCodes]
        if code not in codes:
            c = schema.OperatorCodeT()
            c.builtinCode, c.deprecatedBuiltinCode = code, min(code, 127)
            c.version = VERSIONS.get(code, 2 if name else 1)
            self.m.operatorCodes.append(c)
            codes.append(code)
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = codes.index(code), inputs, outputs
        if name:
            op.builtinOptionsType = getattr(O, name)
            op.builtinOptions = getattr(schema, name + "T")()
            for key, value in fields.items():
                setattr(op.builtinOptions, key, value)
        self.g.operators.append(op)

    def bytes(self, inputs, outputs):
        self.g.inputs, self.g.outputs = inputs, outputs
        for version in (3, 2, 1):  # the highest that this runtime knows
            builder = flatbuffers.Builder(1024)
            builder.Finish(self.m.Pack(builder), b"TFL3")
            data = bytes(builder.Output())
            try:
                litert.Interpreter(
                    model_content=data,
                    experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF)
                return data
            except ValueError:
                for c in self.m.operatorCodes:
                    c.version = min(c.version, version - 1 or 1)
        return data


def run_litert(model, inputs):
    it = litert.Interpreter(model_content=model,
                            experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF)
    it.allocate_tensors()
    for d, x in zip(it.get_input_details(), inputs):
        it.set_tensor(d["index"], x)
    it.invoke()
    return [it.get_tensor(d["index"]).copy() for d in it.get_output_details()]


def run_tflm(model, inputs, count):
    try:
        it = tflm.Interpreter.from_bytes(model, arena_size=1 << 20)
        for i, x in enumerate(inputs):
            it.set_input(x, i)
        it.invoke()
        return [np.array(it.get_output(i)) for i in range(count)]
    except (RuntimeError, ValueError, SystemError):
        return None


def emit(name, model, inputs, outputs, xs, only_micro=False, only_litert=False):
    data = model.bytes(inputs, outputs)
    try:
        ys = run_litert(data, xs)
    except (RuntimeError, ValueError) as error:
        print(f"{name}: LiteRT: {str(error)[:150]}")
        return
    (ROOT / f"{name}.tflite").write_bytes(data)
    arrays = {f"x{i}": x for i, x in enumerate(xs)}
    if not only_micro:
        arrays |= {f"litert{i}": y for i, y in enumerate(ys)}
    micro = None if only_litert else run_tflm(data, xs, len(ys))
    if micro is None and not np.issubdtype(ys[0].dtype, np.floating):
        print(f"{name}: not in tflite-micro")
    arrays |= {f"tflm{i}": y for i, y in enumerate(micro or [])}
    np.savez_compressed(ROOT / f"{name}.npz", **arrays)


def real(*shape, low=-2.0, high=2.0):
    return rng.uniform(low, high, shape).astype(np.float32)


def int8s(*shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def int16s(*shape):
    return rng.integers(-32768, 32768, shape).astype(np.int16)


Q = (0.037, -11)
QW = (0.0007, 0)  # of int16
Q2 = (0.021, 7)


def both(name, code, shape, out_shape, constants=(), options=None, out=None, quant=Q, out_quant=None,
         first=True, **fields):
    """The operator in float32 and in int8; `constants` follow (or lead) the input."""
    for kind in ("f32", "i8"):
        m = Model()
        x = real(*shape) if kind == "f32" else int8s(*shape)
        q = None if kind == "f32" else quant
        i = m.tensor(shape, x.dtype, q)
        c = [m.const(v) for v in constants]
        shapes = out_shape if isinstance(out_shape, list) else [out_shape]
        y = [m.tensor(s, x.dtype, q if kind == "f32" else (out_quant or quant)) for s in shapes]
        m.op(code, [i, *c] if first else [*c, i], y, options, **fields)
        emit(f"{name}_{kind}", m, [i], y, [x])


def unary(name, code, options=None, kinds=("f32", "i8"), out_quant=None, low=-3.0, high=3.0, **fields):
    for kind in kinds:
        m = Model()
        if kind == "f32":
            x, q, oq = real(4, 16, low=low, high=high), None, None
        else:
            x, q, oq = np.arange(-128, 128).astype(np.int8).reshape(1, 256), Q, out_quant or Q
        i, y = m.tensor(x.shape, x.dtype, q), m.tensor(x.shape, x.dtype, oq)
        m.op(code, [i], [y], options, **fields)
        emit(f"{name}_{kind}", m, [i], [y], [x])


def binary(name, code, options=None, kinds=("f32", "i8"), same=False, dtype=None, low=0.3, **fields):
    for kind in kinds:
        m = Model()
        shapes = [(2, 8, 8, 4), (1, 8, 1, 4)]
        make = (lambda s: real(*s, low=low)) if kind == "f32" else (lambda s: int8s(*s))
        a, b = make(shapes[0]), make(shapes[1])
        qa, qb, qy = (None,) * 3 if kind == "f32" else (Q, Q if same else Q2, Q if same else (0.05, 3))
        i = [m.tensor(a.shape, a.dtype, qa), m.tensor(b.shape, b.dtype, qb)]
        y = m.tensor(a.shape, dtype or a.dtype, None if dtype else qy)
        m.op(code, i, [y], options, **fields)
        emit(f"{name}_{kind}", m, i, [y], [a, b])


def transpose_conv(name, h, w, c, o, k, stride, padding, oh, ow, bias):
    for kind in ("f32", "i8"):
        m = Model()
        if kind == "f32":
            x, f, bq, qx, qw, qy = real(1, h, w, c), real(o, k, k, c), None, None, None, None
            data = real(o)
        else:
            x, f = int8s(1, h, w, c), rng.integers(-127, 128, (o, k, k, c)).astype(np.int8)
            scales = rng.uniform(0.001, 0.01, o).astype(np.float32)
            qx, qw, qy = Q, (scales, 0, 0), (0.1, 5)
            bq, data = (np.float32(Q[0]) * scales, 0, 0), rng.integers(-800, 800, o).astype(np.int32)
        shape = m.const([1, oh, ow, o])
        wi = m.tensor(f.shape, f.dtype, qw, f)
        i = m.tensor(x.shape, x.dtype, qx)
        ins = [shape, wi, i]
        if bias:
            ins.append(m.tensor(data.shape, data.dtype, bq, data))
        y = m.tensor((1, oh, ow, o), x.dtype, qy)
        m.op(B.TRANSPOSE_CONV, ins, [y], "TransposeConvOptions", padding=padding, strideH=stride,
             strideW=stride)
        emit(f"{name}_{kind}", m, [i], [y], [x])


def hybrid():
    for per_channel in (False, True):
        tag = "channel" if per_channel else "tensor"
        m = Model()
        f = rng.integers(-127, 128, (6, 3, 3, 4)).astype(np.int8)
        s = rng.uniform(0.001, 0.01, 6 if per_channel else 1).astype(np.float32)
        i = m.tensor((1, 7, 6, 4), np.float32)
        w = m.tensor(f.shape, np.int8, (s, 0, 0), f)
        b, y = m.const(real(6), np.float32), m.tensor((1, 4, 3, 6), np.float32)
        m.op(B.CONV_2D, [i, w, b], [y], "Conv2DOptions", padding=0, strideH=2, strideW=2,
             fusedActivationFunction=1)
        emit(f"hybrid_conv_{tag}", m, [i], [y], [real(1, 7, 6, 4)])
        for asymmetric in (False, True):
            m = Model()
            f = rng.integers(-127, 128, (8, 24)).astype(np.int8)
            s = rng.uniform(0.001, 0.01, 8 if per_channel else 1).astype(np.float32)
            i = m.tensor((5, 24), np.float32)
            w = m.tensor(f.shape, np.int8, (s, 0, 0), f)
            b, y = m.const(real(8), np.float32), m.tensor((5, 8), np.float32)
            m.op(B.FULLY_CONNECTED, [i, w, b], [y], "FullyConnectedOptions",
                 asymmetricQuantizeInputs=asymmetric)
            emit(f"hybrid_dense_{tag}_{'asym' if asymmetric else 'sym'}", m, [i], [y],
                 [real(5, 24)])
    m = Model()
    f = rng.integers(-127, 128, (1, 3, 3, 4)).astype(np.int8)
    i = m.tensor((1, 7, 6, 4), np.float32)
    w = m.tensor(f.shape, np.int8, (rng.uniform(0.001, 0.01, 4).astype(np.float32), 0, 3), f)
    b, y = m.const(real(4), np.float32), m.tensor((1, 7, 6, 4), np.float32)
    m.op(B.DEPTHWISE_CONV_2D, [i, w, b], [y], "DepthwiseConv2DOptions", padding=0, strideH=1,
         strideW=1, depthMultiplier=1)
    emit("hybrid_depthwise", m, [i], [y], [real(1, 7, 6, 4)])


def half_weights():
    m = Model()
    i = m.tensor((3, 24), np.float32)
    w = m.const(real(8, 24).astype(np.float16), np.float16)
    d, y = m.tensor((8, 24), np.float32), m.tensor((3, 8), np.float32)
    m.op(B.DEQUANTIZE, [w], [d])
    m.op(B.FULLY_CONNECTED, [i, d, -1], [y], "FullyConnectedOptions")
    emit("half_weights", m, [i], [y], [real(3, 24)])


def sparse_weights():
    """A block-sparse [8, 16] matrix, blocks of 4 along the second dimension."""
    dense = np.zeros((8, 16), np.float32)
    segments, indices, values = [0], [], []
    for r in range(8):
        for c in sorted(rng.choice(4, rng.integers(0, 3), replace=False)):
            block = real(4)
            dense[r, 4 * c:4 * c + 4] = block
            indices.append(int(c))
            values.append(block)
        segments.append(len(indices))
    s = schema.SparsityParametersT()
    s.traversalOrder, s.blockMap = [0, 1, 2], [1]
    s.dimMetadata = []
    for kind, size in ((0, 8), (1, 0), (0, 4)):
        d = schema.DimensionMetadataT()
        d.format, d.denseSize = kind, size
        if kind == 1:
            d.arraySegmentsType, d.arrayIndicesType = 3, 3
            d.arraySegments, d.arrayIndices = schema.Uint8VectorT(), schema.Uint8VectorT()
            d.arraySegments.values, d.arrayIndices.values = segments, indices
        s.dimMetadata.append(d)
    m = Model()
    i = m.tensor((3, 16), np.float32)
    w = m.tensor((8, 16), np.float32, None, np.concatenate(values), s)
    d, y = m.tensor((8, 16), np.float32), m.tensor((3, 8), np.float32)
    m.op(B.DENSIFY, [w], [d], "DensifyOptions")
    m.op(B.FULLY_CONNECTED, [i, d, -1], [y], "FullyConnectedOptions")
    emit("sparse_weights", m, [i], [y], [real(3, 16)])


def borders():
    """Changes of representation between float, int8 and uint8."""
    for name, dtype, zero in (("u8", np.uint8, 120), ("i8", np.int8, -8)):
        m = Model()
        i, y = m.tensor((1, 64), np.float32), m.tensor((1, 64), dtype, (0.02, zero))
        m.op(B.QUANTIZE, [i], [y], "QuantizeOptions")
        emit(f"quantize_to_{name}", m, [i], [y], [real(1, 64, low=-4, high=4)])
        m = Model()
        i, y = m.tensor((1, 256), dtype, (0.02, zero)), m.tensor((1, 256), np.float32)
        m.op(B.DEQUANTIZE, [i], [y], "DequantizeOptions")
        x = np.arange(256).astype(dtype).reshape(1, 256)
        emit(f"dequantize_{name}", m, [i], [y], [x])
    for a, qa, b, qb in ((np.uint8, (0.02, 120), np.int8, (0.02, -8)),
                         (np.int8, (0.02, -8), np.uint8, (0.02, 120)),
                         (np.int8, (0.05, 3), np.int8, (0.031, -20))):
        m = Model()
        i, y = m.tensor((1, 256), a, qa), m.tensor((1, 256), b, qb)
        m.op(B.QUANTIZE, [i], [y], "QuantizeOptions")
        x = np.arange(256).astype(a).reshape(1, 256)
        emit(f"requantize_{np.dtype(a).name}_{np.dtype(b).name}_{qb[1] % 256}", m, [i], [y], [x])


def prelu():
    for kind in ("f32", "i8"):
        m = Model()
        f32 = kind == "f32"
        x = real(1, 4, 5, 6) if f32 else int8s(1, 4, 5, 6)
        i = m.tensor(x.shape, x.dtype, None if f32 else Q)
        alpha = real(1, 1, 6) if f32 else int8s(1, 1, 6)
        a = m.const(alpha, alpha.dtype, None if f32 else (0.004, 9))
        y = m.tensor(x.shape, x.dtype, None if f32 else (0.04, -30))
        m.op(B.PRELU, [i, a], [y])
        emit(f"prelu_{kind}", m, [i], [y], [x])


def select():
    for kind, code in (("f32", B.SELECT_V2), ("i8", B.SELECT_V2), ("rows", B.SELECT)):
        m = Model()
        i8 = kind == "i8"
        xs = [int8s(3, 4), int8s(3, 4)] if i8 else [real(3, 4), real(3, 4)]
        c = rng.integers(0, 2, (3,) if kind == "rows" else (3, 1)).astype(np.bool_)
        ci = m.tensor(c.shape, np.bool_)
        i = [m.tensor((3, 4), xs[0].dtype, Q if i8 else None) for _ in xs]
        y = m.tensor((3, 4), xs[0].dtype, Q if i8 else None)
        m.op(code, [ci, *i], [y])
        emit(f"select_{kind}", m, [ci, *i], [y], [c, *xs])


def concat():
    for kind in ("f32", "i8"):
        m = Model()
        xs = [real(2, 3, 4), real(2, 5, 4)] if kind == "f32" else [int8s(2, 3, 4), int8s(2, 5, 4)]
        q = None if kind == "f32" else Q
        i = [m.tensor(x.shape, x.dtype, q) for x in xs]
        y = m.tensor((2, 8, 4), xs[0].dtype, q)
        m.op(B.CONCATENATION, i, [y], "ConcatenationOptions", axis=1)
        emit(f"concat_{kind}", m, i, [y], xs)
        m = Model()
        x = xs[0]
        i = [m.tensor(x.shape, x.dtype, q) for _ in range(2)]
        y = m.tensor((2, 2, 3, 4), x.dtype, q)
        m.op(B.PACK, i, [y], "PackOptions", axis=1, valuesCount=2)
        emit(f"pack_{kind}", m, i, [y], [x, x[::-1].copy()])


def finders():
    """Operators that find and place elements."""
    for kind in ("f32", "i8"):
        for name, code in (("arg_max", B.ARG_MAX), ("arg_min", B.ARG_MIN)):
            m = Model()
            x = real(3, 7, 4) if kind == "f32" else int8s(3, 7, 4)
            i, axis = m.tensor(x.shape, x.dtype, None if kind == "f32" else Q), m.const([1])
            y = m.tensor((3, 4), np.int32)
            options = "ArgMaxOptions" if code == B.ARG_MAX else "ArgMinOptions"
            m.op(code, [i, axis], [y], options, outputType=T.INT32)
            emit(f"{name}_{kind}", m, [i], [y], [x])
    m = Model()
    x = real(3, 9)
    i, k = m.tensor(x.shape, x.dtype), m.const(4)
    ys = [m.tensor((3, 4), np.float32), m.tensor((3, 4), np.int32)]
    m.op(B.TOPK_V2, [i, k], ys, "TopKV2Options")
    emit("top_k_f32", m, [i], ys, [x])
    for exclusive, reverse in ((False, False), (True, True)):
        m = Model()
        x = real(2, 5, 3)
        i, axis = m.tensor(x.shape, x.dtype), m.const([1])
        y = m.tensor(x.shape, x.dtype)
        m.op(B.CUMSUM, [i, axis], [y], "CumsumOptions", exclusive=exclusive, reverse=reverse)
        emit(f"cumsum_{'exclusive_reverse' if exclusive else 'plain'}", m, [i], [y], [x])
    for axis, shape in ((-1, (2, 3, 5)), (1, (2, 5, 3))):
        m = Model()
        x = rng.integers(-1, 6, (2, 3)).astype(np.int32)
        i = m.tensor(x.shape, x.dtype)
        constants = [m.const(5), m.const(2.5, np.float32), m.const(-0.5, np.float32)]
        y = m.tensor(shape, np.float32)
        m.op(B.ONE_HOT, [i, *constants], [y], "OneHotOptions", axis=axis)
        emit(f"one_hot_{'last' if axis < 0 else axis}", m, [i], [y], [x])
    for kind in ("f32", "i8"):
        m = Model()
        x = real(4, 5, 3) if kind == "f32" else int8s(4, 5, 3)
        q = None if kind == "f32" else Q
        i, ids = m.tensor(x.shape, x.dtype, q), m.const([[[3, 4], [0, 1]], [[2, 2], [1, 0]]])
        y = m.tensor((2, 2, 3), x.dtype, q)
        m.op(B.GATHER_ND, [i, ids], [y], "GatherNdOptions")
        emit(f"gather_nd_{kind}", m, [i], [y], [x])
    m = Model()
    x = real(3, 2)
    i, ids, shape = m.tensor(x.shape, x.dtype), m.const([[1, 0], [3, 2], [1, 0]]), m.const([4, 3, 2])
    y = m.tensor((4, 3, 2), np.float32)
    m.op(B.SCATTER_ND, [ids, i, shape], [y], "ScatterNdOptions")
    emit("scatter_nd_f32", m, [i], [y], [x])
    for name in ("sum", "prod", "min", "max"):
        m = Model()
        x = real(6, 2)
        i, ids, count = m.tensor(x.shape, x.dtype), m.const([2, 0, 2, 3, 0, 2]), m.const(5)
        y = m.tensor((5, 2), np.float32)
        m.op(getattr(B, f"UNSORTED_SEGMENT_{name.upper()}"), [i, ids, count], [y])
        emit(f"segment_{name}_f32", m, [i], [y], [x])
    m = Model()
    ids = np.array([3, 0, 5, 5], np.int32)
    i, table = m.tensor(ids.shape, ids.dtype), m.const(real(6, 4), np.float32)
    y = m.tensor((4, 4), np.float32)
    m.op(B.EMBEDDING_LOOKUP, [i, table], [y])
    emit("embedding_lookup_f32", m, [i], [y], [ids])


def more_reductions():
    for name, code, dtype in (("prod", B.REDUCE_PROD, np.float32), ("sum_i32", B.SUM, np.int32),
                              ("any", B.REDUCE_ANY, np.bool_), ("all", B.REDUCE_ALL, np.bool_)):
        m = Model()
        x = (real(2, 5, 3) if dtype == np.float32 else
             rng.integers(0, 2 if dtype == np.bool_ else 99, (2, 5, 3)).astype(dtype))
        i, axes = m.tensor(x.shape, dtype), m.const([1])
        y = m.tensor((2, 3), dtype)
        m.op(code, [i, axes], [y], "ReducerOptions", keepDims=False)
        emit(f"reduce_{name}", m, [i], [y], [x])
    for tag, out in (("", (0.21, 5)), ("_same", Q)):
        m = Model()
        x = int8s(2, 5, 3)
        i, axes = m.tensor(x.shape, np.int8, Q), m.const([1])
        y = m.tensor((2, 3), np.int8, out)
        m.op(B.SUM, [i, axes], [y], "ReducerOptions", keepDims=False)
        emit(f"sum{tag}_i8", m, [i], [y], [x], only_micro=True)  # LiteRT's are wrong
    for name in ("sin", "cos"):
        unary(name, getattr(B, name.upper()), name.capitalize() + "Options" if name == "cos" else None,
              kinds=("f32",))
    m = Model()
    xs = [rng.integers(0, 99, (3, 4)).astype(np.int32) for _ in range(2)]
    i, y = [m.tensor(x.shape, x.dtype) for x in xs], m.tensor((3, 4), np.int32)
    m.op(B.BITWISE_XOR, i, [y], "BitwiseXorOptions")
    emit("bitwise_xor", m, i, [y], xs)
    for kind in ("i8", "i16"):
        for tag, ax, ay in (("plain", False, False), ("adj_y", False, True)):
            m = Model()
            make, q, q2, qy = ((int8s, Q, Q2, (0.07, -3)) if kind == "i8" else
                               (int16s, QW, (0.0003, 0), (0.004, 0)))
            a, b = make(2, 3, 5), make(*((2, 4, 5) if ay else (2, 5, 4)))
            i = [m.tensor(a.shape, a.dtype, q), m.tensor(b.shape, b.dtype, q2)]
            y = m.tensor((2, 3, 4), a.dtype, qy)
            m.op(B.BATCH_MATMUL, i, [y], "BatchMatMulOptions", adjX=ax, adjY=ay)
            emit(f"batch_matmul_{tag}_{kind}", m, i, [y], [a, b])


def wide_products():
    """CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED of int16 with int8 weights; the bias of int64,
    of int32, or none."""
    for tag, bias in (("", np.int64), ("_bias32", np.int32), ("_no_bias", None)):
        def weights(m, shape, axis, count, dtype=bias):
            f = rng.integers(-127, 128, shape).astype(np.int8)
            s = rng.uniform(0.001, 0.01, count).astype(np.float32)
            w = m.tensor(f.shape, np.int8, (s, 0, axis), f)
            if dtype is None:
                return w, -1
            return w, m.const(rng.integers(-90000, 90000, 6), dtype, (np.float32(QW[0]) * s, 0, 0))
        kind_of_bias = T.INT32 if bias == np.int32 else T.FLOAT32  # the default stands for int64
        m = Model()
        x = int16s(1, 8, 7, 4)
        i, y = m.tensor(x.shape, x.dtype, QW), m.tensor((1, 4, 4, 6), x.dtype, (0.002, 0))
        m.op(B.CONV_2D, [i, *weights(m, (6, 3, 3, 4), 0, 6)], [y], "Conv2DOptions", padding=0,
             strideH=2, strideW=2, fusedActivationFunction=3, quantizedBiasType=kind_of_bias)
        emit(f"conv{tag}_i16", m, [i], [y], [x])
        m = Model()
        x = int16s(1, 8, 7, 3)
        i, y = m.tensor(x.shape, x.dtype, QW), m.tensor((1, 4, 3, 6), x.dtype, (0.002, 0))
        m.op(B.DEPTHWISE_CONV_2D, [i, *weights(m, (1, 3, 3, 6), 3, 6)], [y],
             "DepthwiseConv2DOptions", padding=1, strideH=1, strideW=1, depthMultiplier=2,
             dilationHFactor=2, dilationWFactor=2)
        emit(f"depthwise{tag}_i16", m, [i], [y], [x])
        for kind, count in (("", 1), ("_channel", 6)):
            m = Model()
            x = int16s(5, 24)
            i, y = m.tensor(x.shape, x.dtype, QW), m.tensor((5, 6), x.dtype, (0.003, 0))
            m.op(B.FULLY_CONNECTED, [i, *weights(m, (6, 24), 0, count)], [y],
                 "FullyConnectedOptions", fusedActivationFunction=1,
                 quantizedBiasType=kind_of_bias)
            emit(f"dense{kind}{tag}_i16", m, [i], [y], [x])


def wide_elementwise():
    for name, code, options, fields in (
            ("add", B.ADD, "AddOptions", dict(potScaleInt16=False, fusedActivationFunction=1)),
            ("sub", B.SUB, "SubOptions", dict(potScaleInt16=False)), ("mul", B.MUL, "MulOptions", {}),
            ("maximum", B.MAXIMUM, "MaximumMinimumOptions", {}),
            ("minimum", B.MINIMUM, "MaximumMinimumOptions", {})):
        m = Model()
        xs = [int16s(2, 8, 8, 4), int16s(1, 8, 1, 4)]
        same = code in (B.MAXIMUM, B.MINIMUM)
        scales = [QW, QW, QW] if same else [QW, (0.0013, 0), (0.002, 0)]
        i = [m.tensor(x.shape, x.dtype, q) for x, q in zip(xs, scales)]
        y = m.tensor(xs[0].shape, np.int16, scales[2])
        m.op(code, i, [y], options, **fields)
        emit(f"{name}_i16", m, i, [y], xs)
    for rows, columns, scale in ((7, 12, 0.0004), (1, 1, 0.01), (3, 500, 0.0001)):
        m = Model()
        x = int16s(rows, columns)
        i, y = m.tensor(x.shape, x.dtype, (scale, 0)), m.tensor(x.shape, x.dtype, (1 / 32768, 0))
        m.op(B.SOFTMAX, [i], [y], "SoftmaxOptions", beta=1.0)
        emit(f"softmax_{columns}_i16", m, [i], [y], [x])


def wide_functions():
    every = np.arange(-32768, 32768, 7).astype(np.int16).reshape(1, -1)
    for name, code, q in (("logistic", B.LOGISTIC, QW), ("logistic_pot", B.LOGISTIC, (1 / 4096, 0)),
                          ("tanh", B.TANH, QW), ("tanh_pot", B.TANH, (1 / 2048, 0)),
                          ("relu", B.RELU, QW)):
        m = Model()
        out = (0.0011, 0) if name == "relu" else (1 / 32768, 0)
        i, y = m.tensor(every.shape, np.int16, q), m.tensor(every.shape, np.int16, out)
        m.op(code, [i], [y])
        emit(f"{name}_i16", m, [i], [y], [every])


def wide_windows():
    for name, code in (("average_pool", B.AVERAGE_POOL_2D), ("max_pool", B.MAX_POOL_2D)):
        m = Model()
        x = int16s(1, 7, 6, 3)
        i, y = m.tensor(x.shape, x.dtype, QW), m.tensor((1, 4, 3, 3), x.dtype, QW)
        m.op(code, [i], [y], "Pool2DOptions", padding=0, strideH=2, strideW=2, filterHeight=3,
             filterWidth=3)
        emit(f"{name}_i16", m, [i], [y], [x])
    for name, code in (("mean", B.MEAN), ("reduce_max", B.REDUCE_MAX)):
        m = Model()
        x = int16s(2, 7, 6, 3)
        i, axes = m.tensor(x.shape, x.dtype, QW), m.const([1, 2])
        y = m.tensor((2, 3), x.dtype, (0.001, 0) if code == B.MEAN else QW)
        m.op(code, [i, axes], [y], "ReducerOptions", keepDims=False)
        emit(f"{name}_i16", m, [i], [y], [x])
    for name, a, qa, b, qb in (("i16_f32", np.int16, QW, np.float32, None),
                               ("f32_i16", np.float32, None, np.int16, QW),
                               ("i8_i16", np.int8, Q, np.int16, QW),
                               ("i16_i8", np.int16, QW, np.int8, (0.13, -5)),
                               ("i16_i16", np.int16, QW, np.int16, (0.0021, 0))):
        m = Model()
        x = {np.int16: int16s, np.int8: int8s, np.float32: real}[a](3, 50)
        i, y = m.tensor(x.shape, a, qa), m.tensor(x.shape, b, qb)
        m.op(B.DEQUANTIZE if b == np.float32 else B.QUANTIZE, [i], [y])
        emit(f"border_{name}", m, [i], [y], [x])
    m = Model()
    xs = [int16s(2, 3, 4), int16s(2, 5, 4)]
    i = [m.tensor(x.shape, x.dtype, QW) for x in xs]
    y = m.tensor((2, 8, 4), np.int16, QW)
    m.op(B.CONCATENATION, i, [y], "ConcatenationOptions", axis=1)
    emit("concat_i16", m, i, [y], xs)


def matmul():
    for tag, ax, ay in (("plain", False, False), ("adj_y", False, True), ("adj_x", True, False)):
        m = Model()
        a = real(2, 5, 3) if ax else real(2, 3, 5)
        b = real(2, 4, 5) if ay else real(2, 5, 4)
        i = [m.tensor(a.shape, a.dtype), m.tensor(b.shape, b.dtype)]
        y = m.tensor((2, 3, 4), np.float32)
        m.op(B.BATCH_MATMUL, i, [y], "BatchMatMulOptions", adjX=ax, adjY=ay)
        emit(f"batch_matmul_{tag}", m, i, [y], [a, b])


def casts():
    for a, b in ((np.float32, np.int32), (np.int32, np.float32), (np.float32, np.bool_)):
        m = Model()
        x = real(4, 8, low=-5, high=5).astype(a)
        i, y = m.tensor(x.shape, a), m.tensor(x.shape, b)
        m.op(B.CAST, [i], [y], "CastOptions", inDataType=TYPES[np.dtype(a)],
             outDataType=TYPES[np.dtype(b)])
        emit(f"cast_{np.dtype(a).name}_{np.dtype(b).name}", m, [i], [y], [x])


def gathers():
    for kind in ("f32", "i8"):
        for axis in (0, 2):
            m = Model()
            x = real(5, 4, 6) if kind == "f32" else int8s(5, 4, 6)
            q = None if kind == "f32" else Q
            i, ids = m.tensor(x.shape, x.dtype, q), m.const([[3, 0], [1, 1]])
            shape = (2, 2, 4, 6) if axis == 0 else (5, 4, 2, 2)
            y = m.tensor(shape, x.dtype, q)
            m.op(B.GATHER, [i, ids], [y], "GatherOptions", axis=axis)
            emit(f"gather_{axis}_{kind}", m, [i], [y], [x])


def products():
    """CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED in float32 and int8, with fused activations."""
    for kind in ("f32", "i8"):
        f32 = kind == "f32"
        for tag, groups in (("conv", 1), ("grouped", 2)):
            m = Model()
            x = real(1, 8, 7, 4) if f32 else int8s(1, 8, 7, 4)
            f = real(6, 3, 3, 4 // groups) if f32 else rng.integers(
                -127, 128, (6, 3, 3, 4 // groups)).astype(np.int8)
            s = rng.uniform(0.001, 0.01, 6).astype(np.float32)
            i = m.tensor(x.shape, x.dtype, None if f32 else Q)
            w = m.tensor(f.shape, f.dtype, None if f32 else (s, 0, 0), f)
            b = (m.const(real(6), np.float32) if f32 else
                 m.const(rng.integers(-900, 900, 6), np.int32, (np.float32(Q[0]) * s, 0, 0)))
            y = m.tensor((1, 4, 4, 6), x.dtype, None if f32 else (0.03, -20))
            m.op(B.CONV_2D, [i, w, b], [y], "Conv2DOptions", padding=0, strideH=2, strideW=2,
                 fusedActivationFunction=3)
            emit(f"{tag}_{kind}", m, [i], [y], [x])
        m = Model()
        x = real(1, 8, 7, 3) if f32 else int8s(1, 8, 7, 3)
        f = real(1, 3, 3, 6) if f32 else rng.integers(-127, 128, (1, 3, 3, 6)).astype(np.int8)
        s = rng.uniform(0.001, 0.01, 6).astype(np.float32)
        i = m.tensor(x.shape, x.dtype, None if f32 else Q)
        w = m.tensor(f.shape, f.dtype, None if f32 else (s, 0, 3), f)
        b = (m.const(real(6), np.float32) if f32 else
             m.const(rng.integers(-900, 900, 6), np.int32, (np.float32(Q[0]) * s, 0, 0)))
        y = m.tensor((1, 4, 3, 6), x.dtype, None if f32 else (0.03, -20))
        m.op(B.DEPTHWISE_CONV_2D, [i, w, b], [y], "DepthwiseConv2DOptions", padding=1, strideH=1,
             strideW=1, depthMultiplier=2, dilationHFactor=2, dilationWFactor=2,
             fusedActivationFunction=1)
        emit(f"depthwise_dilated_{kind}", m, [i], [y], [x])


def strided_slices():
    cases = {
        "masks": (([1, 0, 2], [0, 3, 5], [1, 2, 1]), dict(endMask=1), (3, 2, 3)),
        "shrink": (([1, 0, 2], [2, 4, 5], [1, 1, 1]), dict(shrinkAxisMask=1), (4, 3)),
        "new_axis": (([0, 0, 0, 1], [4, 0, 4, 5], [1, 1, 1, 2]), dict(newAxisMask=2), (4, 1, 4, 2)),
        "ellipsis": (([0, 1], [0, 4], [1, 1]), dict(ellipsisMask=1), (4, 4, 3)),
        "backwards": (([-1, 3, 0], [-5, 0, 6], [-2, -1, 3]), {}, (2, 3, 2)),
    }
    for name, (operands, masks, shape) in cases.items():
        both(f"strided_slice_{name}", B.STRIDED_SLICE, (4, 4, 6), shape, operands,
             "StridedSliceOptions", **masks)


def recurrent():
    """Whole sequences; the second activation and a low bound on the cell are not the converter's."""
    global rng
    rng = np.random.default_rng(29)
    batch, steps, features, units = 2, 6, 5, 7
    for name, major, clip, activation in (("lstm", False, 0.0, 4), ("lstm_clipped", True, 0.4, 4),
                                          ("lstm_relu", False, 10.0, 1)):
        m = Model()
        x = real(*((steps, batch) if major else (batch, steps)), features)
        i = m.tensor(x.shape, x.dtype)
        weights = [m.const(real(units, features, low=-0.6, high=0.6), np.float32) for _ in range(4)]
        weights += [m.const(real(units, units, low=-0.5, high=0.5), np.float32) for _ in range(4)]
        biases = [m.const(real(units, low=-0.4, high=0.4), np.float32) for _ in range(4)]
        states = [m.tensor((batch, units), np.float32) for _ in range(2)]
        for s in states:
            m.g.tensors[s].isVariable = True
        y = m.tensor((*x.shape[:2], units), np.float32)
        m.op(B.UNIDIRECTIONAL_SEQUENCE_LSTM,
             [i, *weights, -1, -1, -1, *biases, -1, -1, *states, -1, -1, -1, -1], [y],
             "UnidirectionalSequenceLSTMOptions", fusedActivationFunction=activation, cellClip=clip,
             timeMajor=major)
        # tflite-micro has no other activation than tanh there, and says nothing of it.
        emit(f"{name}_f32", m, [i], [y], [x], only_litert=activation != 4)
    for name, major, activation in (("rnn", False, 4), ("rnn_major", True, 3)):
        m = Model()
        x = real(*((steps, batch) if major else (batch, steps)), features)
        i = m.tensor(x.shape, x.dtype)
        constants = [m.const(real(*s, low=-0.6, high=0.6), np.float32)
                     for s in ((units, features), (units, units), (units,))]
        h = m.tensor((batch, units), np.float32)
        m.g.tensors[h].isVariable = True
        y = m.tensor((*x.shape[:2], units), np.float32)
        m.op(B.UNIDIRECTIONAL_SEQUENCE_RNN, [i, *constants, h], [y], "SequenceRNNOptions",
             timeMajor=major, fusedActivationFunction=activation)
        emit(f"{name}_f32", m, [i], [y], [x])


def signal():
    """Fourier transforms with complex tensors between, and integers that say shapes."""
    global rng
    rng = np.random.default_rng(31)
    for name, shape, lengths, last in (("frames", (3, 1, 30), (1, 32), B.COMPLEX_ABS),
                                       ("cut", (2, 5, 20), (4, 16), B.REAL),
                                       ("padded", (2, 3, 10), (8, 16), B.IMAG)):
        m = Model()
        x = real(*shape)
        out = (shape[0], lengths[0], lengths[1] // 2 + 1)
        i = m.tensor(x.shape, x.dtype)
        spectrum = m.tensor(out, np.complex64)
        m.op(B.RFFT2D, [i, m.const(np.array(lengths), np.int32)], [spectrum], "Rfft2dOptions")
        wide = m.tensor((1, *out), np.complex64)
        m.op(B.EXPAND_DIMS, [spectrum, m.const(np.array(0), np.int32)], [wide], "ExpandDimsOptions")
        y = m.tensor((1, *out), np.float32)
        m.op(last, [wide], [y])
        emit(f"rfft2d_{name}_f32", m, [i], [y], [x])
    for name, code, options in (("div", B.FLOOR_DIV, "FloorDivOptions"),
                                ("mod", B.FLOOR_MOD, "FloorModOptions")):
        m = Model()
        x = np.array([-7, -6, -1, 0, 1, 6, 7, 2147483647], np.int32)
        i = m.tensor(x.shape, x.dtype)
        divisors = m.const(np.array([3, 3, -4, 5, -2, -3, 7, -5]), np.int32)
        y = m.tensor(x.shape, x.dtype)
        m.op(code, [i, divisors], [y], options)
        emit(f"floor_{name}_i32", m, [i], [y], [x])
    m = Model()
    x = real(2, 5)
    i = m.tensor(x.shape, x.dtype)
    steps = m.tensor((4,), np.float32)
    m.op(B.RANGE, [m.const(np.array(v), np.float32) for v in (3.0, -1.0, -1.25)], [steps],
         "RangeOptions")
    column = m.tensor((4, 1, 1), np.float32)
    m.op(B.RESHAPE, [steps, m.const(np.array([4, 1, 1]), np.int32)], [column], "ReshapeOptions")
    y = m.tensor((4, 2, 5), np.float32)
    m.op(B.ADD, [i, column], [y], "AddOptions")
    emit("range_f32", m, [i], [y], [x])


def main():
    ROOT.mkdir(exist_ok=True)
    for old in ROOT.iterdir():
        old.unlink()
    unary("relu", B.RELU, out_quant=(0.03, -100))
    unary("relu6", B.RELU6, out_quant=(0.03, -100))
    unary("relu_n1", B.RELU_N1_TO_1, kinds=("f32",))
    unary("leaky_relu", B.LEAKY_RELU, "LeakyReluOptions", out_quant=(0.03, -40), alpha=0.15)
    unary("hard_swish", B.HARD_SWISH, "HardSwishOptions", out_quant=(0.03, -100))
    unary("logistic", B.LOGISTIC, out_quant=(1 / 256, -128))
    unary("tanh", B.TANH, out_quant=(1 / 128, 0))
    unary("elu", B.ELU, kinds=("f32",))
    unary("exp", B.EXP, "ExpOptions", kinds=("f32",))
    for name in ("abs", "neg", "floor", "ceil", "round", "square", "sign"):
        unary(name, getattr(B, name.upper()), kinds=("f32",))
    for name in ("sqrt", "rsqrt", "log"):
        unary(name, getattr(B, name.upper()), kinds=("f32",), low=0.1)
    unary("gelu", B.GELU, "GeluOptions", kinds=("f32",))
    unary("gelu_tanh", B.GELU, "GeluOptions", kinds=("f32",), approximate=True)
    unary("softmax", B.SOFTMAX, "SoftmaxOptions", out_quant=(1 / 256, -128), beta=1.0)
    unary("softmax_beta", B.SOFTMAX, "SoftmaxOptions", kinds=("f32",), beta=0.5)
    unary("log_softmax", B.LOG_SOFTMAX, "LogSoftmaxOptions", kinds=("f32",))
    unary("l2_normalization", B.L2_NORMALIZATION, "L2NormOptions", kinds=("f32",))
    unary("zeros_like", B.ZEROS_LIKE, "ZerosLikeOptions", kinds=("f32",))
    binary("add", B.ADD, "AddOptions", fusedActivationFunction=1)
    binary("sub", B.SUB, "SubOptions")
    binary("mul", B.MUL, "MulOptions", fusedActivationFunction=3)
    binary("div", B.DIV, "DivOptions", kinds=("f32",), fusedActivationFunction=3)
    binary("maximum", B.MAXIMUM, "MaximumMinimumOptions", same=True, low=-2)
    binary("minimum", B.MINIMUM, "MaximumMinimumOptions", same=True, low=-2)
    binary("pow", B.POW, kinds=("f32",))
    binary("squared_difference", B.SQUARED_DIFFERENCE, kinds=("f32",), low=-2)
    binary("floor_div", B.FLOOR_DIV, kinds=("f32",))
    binary("floor_mod", B.FLOOR_MOD, kinds=("f32",))
    for name in ("less", "greater_equal", "equal"):
        binary(name, getattr(B, name.upper()), kinds=("f32",), dtype=np.bool_, low=-2)
    products()
    hybrid()
    half_weights()
    sparse_weights()
    borders()
    prelu()
    select()
    concat()
    matmul()
    casts()
    gathers()
    strided_slices()
    transpose_conv("transpose_conv_same", 5, 4, 3, 6, 3, 2, 0, 10, 8, True)
    transpose_conv("transpose_conv_valid", 5, 4, 3, 6, 3, 2, 1, 11, 9, False)
    transpose_conv("transpose_conv_short", 5, 4, 3, 6, 4, 2, 0, 9, 7, True)
    for align, half, tag in ((False, True, "half"), (True, False, "align"), (False, False, "corner")):
        both(f"resize_bilinear_{tag}", B.RESIZE_BILINEAR, (1, 5, 7, 3), (1, 11, 9, 3), ([11, 9],),
             "ResizeBilinearOptions", alignCorners=align, halfPixelCenters=half)
        both(f"resize_nearest_{tag}", B.RESIZE_NEAREST_NEIGHBOR, (1, 5, 7, 3), (1, 11, 4, 3),
             ([11, 4],), "ResizeNearestNeighborOptions", alignCorners=align, halfPixelCenters=half)
    both("mean", B.MEAN, (1, 5, 6, 8), (1, 8), ([1, 2],), "ReducerOptions", out_quant=(0.02, 4))
    both("mean_keep", B.MEAN, (1, 5, 6, 8), (1, 1, 1, 8), ([1, 2],), "ReducerOptions",
         keepDims=True)
    both("mean_last", B.MEAN, (2, 5, 16), (2, 5), ([-1],), "ReducerOptions", out_quant=(0.03, -9))
    both("reduce_max", B.REDUCE_MAX, (2, 5, 16), (2, 16), ([1],), "ReducerOptions")
    both("avg_pool", B.AVERAGE_POOL_2D, (1, 7, 6, 4), (1, 4, 3, 4), (), "Pool2DOptions", padding=0,
         strideH=2, strideW=2, filterHeight=3, filterWidth=3, fusedActivationFunction=1)
    both("max_pool", B.MAX_POOL_2D, (1, 7, 6, 4), (1, 4, 3, 4), (), "Pool2DOptions", padding=0,
         strideH=2, strideW=2, filterHeight=3, filterWidth=3)
    both("pad", B.PAD, (1, 3, 4, 2), (1, 6, 5, 2), ([[0, 0], [1, 2], [0, 1], [0, 0]],), "PadOptions")
    both("mirror_reflect", B.MIRROR_PAD, (1, 4, 5, 2), (1, 7, 7, 2),
         ([[0, 0], [1, 2], [0, 2], [0, 0]],), "MirrorPadOptions", mode=0)
    both("mirror_symmetric", B.MIRROR_PAD, (1, 4, 5, 2), (1, 7, 7, 2),
         ([[0, 0], [1, 2], [0, 2], [0, 0]],), "MirrorPadOptions", mode=1)
    both("transpose", B.TRANSPOSE, (2, 3, 4), (4, 2, 3), ([2, 0, 1],), "TransposeOptions")
    both("reshape", B.RESHAPE, (2, 3, 4), (6, 4), ([-1, 4],), "ReshapeOptions")
    both("expand_dims", B.EXPAND_DIMS, (2, 3), (2, 1, 3), ([1],), "ExpandDimsOptions")
    both("squeeze", B.SQUEEZE, (1, 2, 1, 3), (2, 3), (), "SqueezeOptions", squeezeDims=[0, 2])
    both("slice", B.SLICE, (4, 5, 6), (2, 5, 3), ([1, 0, 2], [2, -1, 3]), "SliceOptions")
    both("split", B.SPLIT, (4, 6), [(4, 2)] * 3, ([1],), "SplitOptions", first=False, numSplits=3)
    both("split_v", B.SPLIT_V, (4, 7), [(4, 2), (4, 4), (4, 1)], ([2, -1, 1], [1]),
         "SplitVOptions", numSplits=3)
    both("unpack", B.UNPACK, (3, 2, 4), [(3, 4)] * 2, (), "UnpackOptions", num=2, axis=1)
    both("tile", B.TILE, (2, 3), (4, 9), ([2, 3],), "TileOptions")
    both("reverse", B.REVERSE_V2, (2, 3, 4), (2, 3, 4), ([1],), "ReverseV2Options")
    both("space_to_depth", B.SPACE_TO_DEPTH, (1, 4, 6, 3), (1, 2, 3, 12), (),
         "SpaceToDepthOptions", blockSize=2)
    both("depth_to_space", B.DEPTH_TO_SPACE, (1, 2, 3, 12), (1, 4, 6, 3), (),
         "DepthToSpaceOptions", blockSize=2)
    both("space_to_batch", B.SPACE_TO_BATCH_ND, (1, 5, 4, 3), (4, 3, 2, 3), ([2, 2], [[1, 0], [0, 0]]),
         "SpaceToBatchNDOptions")
    both("batch_to_space", B.BATCH_TO_SPACE_ND, (4, 3, 2, 3), (1, 5, 4, 3), ([2, 2], [[1, 0], [0, 0]]),
         "BatchToSpaceNDOptions")
    both("broadcast_to", B.BROADCAST_TO, (1, 3), (4, 3), ([4, 3],))
    wide_products()
    wide_elementwise()
    wide_functions()
    wide_windows()
    finders()
    more_reductions()
    recurrent()
    signal()
    return 0


if __name__ == "__main__":
    sys.exit(main())
