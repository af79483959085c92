// What operators do to a stream of frames, but for windows and recurrent layers.
#include <algorithm>

#include "ops/ops.h"
#include "ops/reduce.h"
#include "runtime/stream/stream_builder.h"

namespace ew::runtime::stream {
namespace {

using ir::Attrs;
using ir::kNoValue;
using ir::Node;
using ir::ValueId;
using Refusal = std::optional<std::string>;

const Shape& shape_of(const StreamBuilder& s, ValueId id) { return s.given().type(id).shape; }

// A node of one stream (input 0) and constants whose output has the time axis `axis`.
Refusal add_on(StreamBuilder& s, const Node& node, int axis, const Attrs& attrs) {
  Place p = s.place(node.inputs[0]);
  std::vector<ValueId> inputs{p.id};
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    if (!s.is_constant(node.inputs[i])) return "an input besides the first changes with time";
    inputs.push_back(s.constant(node.inputs[i]));
  }
  p.axis = axis;
  p.id = s.add(node, std::move(inputs), attrs).front();
  s.set(node.outputs[0], p);
  return {};
}

Refusal add_same(StreamBuilder& s, const Node& node) {
  if (!s.is_stream(node.inputs[0])) return "its first input does not change with time";
  return add_on(s, node, s.place(node.inputs[0]).axis, node.attrs);
}

// Elementwise with broadcast, any number of inputs.
Refusal add_broadcast(StreamBuilder& s, const Node& node) {
  const Shape& out = shape_of(s, node.outputs[0]);
  int from_end = -1;
  int64_t stride = 0;
  int64_t length = 0;
  int64_t warm_up = 0;
  for (const ValueId id : node.inputs) {
    if (!s.is_stream(id)) continue;
    const Place& p = s.place(id);
    const int here = shape_of(s, id).rank() - p.axis;
    if (from_end < 0) {
      from_end = here;
      stride = p.stride;
      length = s.length(id);
    }
    if (here != from_end) return "its inputs have time along different axes";
    if (p.stride != stride || s.length(id) != length) {
      return "its inputs have different numbers of frames";
    }
    warm_up = std::max(warm_up, p.warm_up);
  }
  std::vector<ValueId> inputs;
  for (const ValueId id : node.inputs) {
    if (s.is_stream(id)) {
      inputs.push_back(s.delayed(s.place(id), warm_up - s.place(id).warm_up).id);
      continue;
    }
    if (!s.is_constant(id)) return "an input belongs to the latest frame, not to each";
    const Shape* shape = id == kNoValue ? nullptr : &shape_of(s, id);
    if (shape != nullptr && shape->rank() >= from_end && (*shape)[shape->rank() - from_end] != 1) {
      return "a constant input has a value for each frame";
    }
    inputs.push_back(s.constant(id));
  }
  Place p{.kind = Place::Kind::kStream,
          .axis = out.rank() - from_end,
          .stride = stride,
          .warm_up = warm_up};
  p.id = s.add(node, std::move(inputs), node.attrs).front();
  s.set(node.outputs[0], p);
  return {};
}

Refusal add_product(StreamBuilder& s, const Node& node) {
  if (!s.is_stream(node.inputs[0])) return "its first input does not change with time";
  if (is_hybrid(s, node)) return "it takes the scale of its input from all frames";
  const int axis = s.place(node.inputs[0]).axis;
  if (axis == shape_of(s, node.inputs[0]).rank() - 1) return "it sums over time";
  if (node.op == &ops::kMatmul && node.attrs.flag("transpose_a")) return "it turns time";
  if (node.op == &ops::kMatmul && shape_of(s, node.inputs[1]).rank() != 2) {
    return "its right side is no plain matrix";
  }
  return add_on(s, node, axis, node.attrs);
}

Refusal add_on_axis(StreamBuilder& s, const Node& node) {
  const int64_t given = node.attrs.integer("axis");
  const int rank = shape_of(s, node.inputs[0]).rank();
  const auto axis = static_cast<int>(given < 0 ? given + rank : given);
  if (axis == s.place(node.inputs[0]).axis) return "it works along time";
  return add_same(s, node);
}

// The axis of the output that holds the same frames: the same elements lie before and in it.
int reshaped_axis(const Shape& from, int axis, const Shape& to) {
  const int64_t before = from.product(0, axis);
  for (int d = 0; d < to.rank(); ++d) {
    if (to[d] == from[axis] && to.product(0, d) == before) return d;
  }
  return -1;
}

Refusal add_reshape(StreamBuilder& s, const Node& node) {
  const Place& p = s.place(node.inputs[0]);
  const Shape& to = shape_of(s, node.outputs[0]);
  // A single frame cannot be told from other dimensions of one element.
  const int axis =
      s.length(node.inputs[0]) == 1 ? -1 : reshaped_axis(shape_of(s, node.inputs[0]), p.axis, to);
  if (axis < 0) return "it mixes time with another axis";
  std::vector<int64_t> shape(to.dims().begin(), to.dims().end());
  shape[static_cast<size_t>(axis)] = s.frames(p);
  Attrs attrs;
  attrs.set("shape", shape);
  return add_on(s, node, axis, attrs);
}

Refusal add_transpose(StreamBuilder& s, const Node& node) {
  const std::vector<int64_t>& perm = node.attrs.ints("perm");
  const auto at = std::find(perm.begin(), perm.end(), s.place(node.inputs[0]).axis);
  return add_on(s, node, static_cast<int>(at - perm.begin()), node.attrs);
}

Refusal add_concat(StreamBuilder& s, const Node& node) {
  const int rank = shape_of(s, node.outputs[0]).rank();
  const int64_t given = node.attrs.integer("axis");
  const auto along = static_cast<int>(given < 0 ? given + rank : given);
  int64_t warm_up = 0;
  for (const ValueId id : node.inputs) {
    if (!s.is_stream(id)) return "an input does not change with time";
    const Place& p = s.place(id);
    const Place& first = s.place(node.inputs[0]);
    if (p.axis == along) return "it joins along time";
    if (p.axis != first.axis || p.stride != first.stride) {
      return "its inputs have different numbers of frames";
    }
    warm_up = std::max(warm_up, p.warm_up);
  }
  Place p = s.place(node.inputs[0]);
  std::vector<ValueId> inputs;
  for (const ValueId id : node.inputs) {
    inputs.push_back(s.delayed(s.place(id), warm_up - s.place(id).warm_up).id);
  }
  p.warm_up = warm_up;
  p.id = s.add(node, std::move(inputs), node.attrs).front();
  s.set(node.outputs[0], p);
  return {};
}

Refusal add_reduce(StreamBuilder& s, const Node& node) {
  const Place& p = s.place(node.inputs[0]);
  const std::vector<bool> reduced = ops::reduced_dims(shape_of(s, node.inputs[0]), node.attrs);
  if (reduced[static_cast<size_t>(p.axis)]) return "it needs all frames";
  int axis = p.axis;
  if (!node.attrs.flag("keepdims")) {
    axis -= static_cast<int>(std::count(reduced.begin(), reduced.begin() + p.axis, true));
  }
  return add_on(s, node, axis, node.attrs);
}

Refusal add_pad(StreamBuilder& s, const Node& node) {
  const std::vector<int64_t>& pads = node.attrs.ints("pads");
  const auto axis = static_cast<size_t>(s.place(node.inputs[0]).axis);
  if (pads[axis] != 0 || pads[axis + pads.size() / 2] != 0) return "it adds frames";
  return add_same(s, node);
}

Refusal add_slice(StreamBuilder& s, const Node& node) {
  const int axis = s.place(node.inputs[0]).axis;
  if (shape_of(s, node.outputs[0])[axis] != s.length(node.inputs[0])) return "it drops frames";
  if (node.attrs.ints("begin").size() <= static_cast<size_t>(axis)) return add_same(s, node);
  Attrs attrs = node.attrs;
  std::vector<int64_t> end = node.attrs.ints("end");
  const std::vector<int64_t>& strides = node.attrs.ints("strides");
  if (!strides.empty() && strides[static_cast<size_t>(axis)] != 1) return "it reorders frames";
  end[static_cast<size_t>(axis)] = s.frames(s.place(node.inputs[0]));
  attrs.set("end", end);
  return add_on(s, node, axis, attrs);
}

// Rows of a constant table by a stream of numbers.
Refusal add_gather(StreamBuilder& s, const Node& node) {
  if (!s.is_constant(node.inputs[0])) return "its table changes with time";
  Place p = s.place(node.inputs[1]);
  p.id = s.add(node, {s.constant(node.inputs[0]), p.id}, node.attrs).front();
  s.set(node.outputs[0], p);
  return {};
}

}  // namespace

bool is_hybrid(const StreamBuilder& s, const Node& node) {
  return s.given().type(node.inputs[1]).dtype == DType::kI8 &&
         s.given().type(node.inputs[0]).dtype != DType::kI8;
}

Rule find_rule(const ir::OpDef& op) {
  struct Row {
    const ir::OpDef* op;
    Rule rule;
  };
  static const Row kRows[] = {
#define EW_UNARY(name, Name, ...) {&ops::k##Name, add_same},
#include "ops/unary/unary.def"
#undef EW_UNARY
#define EW_BINARY(name, Name, ...) {&ops::k##Name, add_broadcast},
#define EW_COMPARE(name, Name, ...) {&ops::k##Name, add_broadcast},
#include "ops/binary/binary.def"
#undef EW_BINARY
#undef EW_COMPARE
      {&ops::kPrelu, add_broadcast},
      {&ops::kWhere, add_broadcast},
      {&ops::kCast, add_same},
      {&ops::kDropout, add_same},
      {&ops::kQuantize, add_same},
      {&ops::kDequantize, add_same},
      {&ops::kBatchNorm, add_on_axis},
      {&ops::kSoftmax, add_on_axis},
      {&ops::kLogSoftmax, add_on_axis},
      {&ops::kDense, add_product},
      {&ops::kMatmul, add_product},
      {&ops::kGather, add_gather},
      {&ops::kReshape, add_reshape},
      {&ops::kTranspose, add_transpose},
      {&ops::kConcat, add_concat},
      {&ops::kReduceSum, add_reduce},
      {&ops::kReduceMean, add_reduce},
      {&ops::kReduceMax, add_reduce},
      {&ops::kPad, add_pad},
      {&ops::kSlice, add_slice},
      {&ops::kConv, add_window},
      {&ops::kDepthwiseConv, add_window},
      {&ops::kMaxPool, add_window},
      {&ops::kAvgPool, add_window},
      {&ops::kSimpleRnn, add_recurrent},
      {&ops::kLstm, add_recurrent},
      {&ops::kGru, add_recurrent},
  };
  for (const Row& row : kRows) {
    if (row.op == &op) return row.rule;
  }
  return nullptr;
}

}  // namespace ew::runtime::stream
