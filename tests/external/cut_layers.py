"""Parts of .tflite files as models of their own, by the schema classes that LiteRT ships."""
import copy

import flatbuffers
from ai_edge_litert import schema_py_generated as schema


def read(path):
    return schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)


def write(model, path):
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def is_constant(model, tensor):
    data = model.buffers[model.subgraphs[0].tensors[tensor].buffer].data
    return data is not None and len(data) > 0


def plain(model):
    """The model without signatures and metadata, which name tensors that a part may not have."""
    out = copy.copy(model)
    out.signatureDefs = out.metadata = out.metadataBuffer = None
    return out


def with_all_activations(model):
    """The model with what every operator computes as its outputs, in the operators' order."""
    out = plain(model)
    graph = copy.copy(model.subgraphs[0])
    graph.outputs = [t for op in graph.operators for t in op.outputs]
    out.subgraphs = [graph]
    return out


def one_operator(model, index):
    """Operator `index` as a model, and the tensors of `model` that are its inputs."""
    graph = model.subgraphs[0]
    op = copy.copy(graph.operators[index])
    used, out = {}, plain(model)
    part = schema.SubGraphT()
    part.tensors, out.buffers = [], [schema.BufferT()]

    def take(tensor):
        if tensor < 0:
            return tensor
        if tensor not in used:
            used[tensor] = len(part.tensors)
            moved = copy.copy(graph.tensors[tensor])
            if is_constant(model, tensor):
                out.buffers.append(model.buffers[moved.buffer])
                moved.buffer = len(out.buffers) - 1
            else:
                moved.buffer = 0
            part.tensors.append(moved)
        return used[tensor]

    inputs = list(dict.fromkeys(t for t in op.inputs if t >= 0 and not is_constant(model, t)))
    op.inputs = [take(t) for t in op.inputs]
    op.outputs = [take(t) for t in op.outputs]
    part.operators, part.outputs = [op], list(op.outputs)
    part.inputs = [used[t] for t in inputs]
    out.subgraphs = [part]
    return out, inputs


def operator_name(model, index):
    code = model.operatorCodes[model.subgraphs[0].operators[index].opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return next(n for n, v in vars(schema.BuiltinOperator).items() if v == number)
