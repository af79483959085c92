#!/usr/bin/env python3
"""Writes fixtures/detection_*: TFLite_Detection_PostProcess on random boxes, as LiteRT computes it.

    pip install ai-edge-litert==2.3.0 flatbuffers==25.12.19 numpy
    tests/tflite/make_detection_fixtures.py [FOLDER]

The fast way leaves the outputs behind the detections undefined: they are recorded as 0.
"""
import sys
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "fixtures")
RNG = np.random.default_rng(29)


def model(shapes, anchors, options):
    m, g = schema.ModelT(), schema.SubGraphT()
    m.version, m.subgraphs, m.buffers = 3, [g], [schema.BufferT()]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = "TFLite_Detection_PostProcess", 1
    m.operatorCodes, g.tensors = [code], []
    data = schema.BufferT()
    data.data = np.frombuffer(anchors.tobytes(), np.uint8)
    m.buffers.append(data)
    k = options["max_detections"] * options["max_classes_per_detection"]
    for i, shape in enumerate([*shapes, anchors.shape, (1, k, 4), (1, k), (1, k), (1,)]):
        t = schema.TensorT()
        t.name, t.shape, t.type, t.buffer = f"t{i}", list(shape), schema.TensorType.FLOAT32, i == 2
        g.tensors.append(t)
    op = schema.OperatorT()
    op.opcodeIndex, op.inputs, op.outputs = 0, [0, 1, 2], [3, 4, 5, 6]
    fbb = flexbuffers.Builder()
    with fbb.Map():
        for key, value in options.items():
            fbb.Key(key)
            fbb.Add(value)
    op.customOptions = np.frombuffer(bytes(fbb.Finish()), np.uint8)
    g.operators, g.inputs, g.outputs = [op], [0, 1], [3, 4, 5, 6]
    builder = flatbuffers.Builder(1024)
    builder.Finish(m.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def emit(name, boxes=120, classes=6, background=1, extra=0, **options):
    options = {"max_detections": 10, "max_classes_per_detection": 1, "num_classes": classes,
               "nms_score_threshold": 0.3, "nms_iou_threshold": 0.45, "y_scale": 10.0,
               "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0} | options
    centre = RNG.uniform(0, 1, (boxes, 2))
    anchors = np.concatenate([centre, RNG.uniform(0.1, 0.5, (boxes, 2))], 1).astype(np.float32)
    offsets = RNG.normal(0, 1, (1, boxes, 4 + extra)).astype(np.float32)
    scores = RNG.uniform(0, 1, (1, boxes, classes + background)).astype(np.float32)
    data = model([offsets.shape, scores.shape], anchors, options)
    it = litert.Interpreter(model_content=data,
                            experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF)
    it.allocate_tensors()
    it.set_tensor(0, offsets)
    it.set_tensor(1, scores)
    it.invoke()
    ys = [it.get_tensor(i).copy() for i in (3, 4, 5, 6)]
    found = int(ys[3][0]) * options["max_classes_per_detection"]
    for y in ys[:3]:
        y[:, found:] = 0
    (ROOT / f"{name}.tflite").write_bytes(data)
    np.savez_compressed(ROOT / f"{name}.npz", x0=offsets, x1=scores,
                        **{f"litert{i}": y for i, y in enumerate(ys)})
    print(name, int(ys[3][0]), "detections")


emit("detection_fast")
emit("detection_fast_classes", max_classes_per_detection=3, background=0)
emit("detection_fast_few", nms_score_threshold=0.97, max_detections=50)
emit("detection_fast_points", extra=6, nms_iou_threshold=0.1)
emit("detection_regular", use_regular_nms=True, detections_per_class=20)
emit("detection_regular_one", use_regular_nms=True, classes=1, background=0, detections_per_class=5)
emit("detection_regular_many", use_regular_nms=True, boxes=500, classes=20, max_detections=100)
emit("detection_regular_none", use_regular_nms=True, nms_score_threshold=2.0)
