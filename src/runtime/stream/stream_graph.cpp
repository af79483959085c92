#include "runtime/stream/stream_graph.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "ops/ops.h"
#include "runtime/stream/stream_builder.h"

namespace ew::runtime {
namespace stream {

using ir::Attrs;
using ir::Graph;
using ir::kNoValue;
using ir::Node;
using ir::Tensor;
using ir::TensorType;
using ir::ValueId;

namespace {

std::string name_of(const Graph& g, const Node& node) {
  const std::string& origin = node.origin;
  const std::string& value = g.value(node.outputs[0]).name;
  return str(origin.empty() ? value : origin, " (", node.op->name, ")");
}

// A zero of the type: the zero point of quantised values.
Tensor zeros(const TensorType& type) {
  Tensor t(type);
  if (!type.quant) return t;
  const int32_t zero = type.quant->zero_points.at(0);
  std::memset(t.mutable_data(), static_cast<uint8_t>(zero), t.size_bytes());
  return t;
}

int64_t macs_of(const Graph& g) {
  int64_t sum = 0;
  for (const Node& node : g.nodes) {
    if (node.op->macs == nullptr) continue;
    std::vector<TensorType> out;
    for (const ValueId id : node.outputs) out.push_back(g.type(id));
    sum += node.op->macs(g.input_types(node), out, node.attrs);
  }
  return sum;
}

}  // namespace

StreamBuilder::StreamBuilder(const Graph& given, int time_axis, int64_t frames, int64_t window_runs,
                             StreamMode mode)
    : given_(given),
      time_axis_(time_axis),
      frames_(frames),
      window_runs_(window_runs),
      mode_(mode),
      b_(out_.graph),
      places_(given.values.size()),
      wholes_(given.values.size(), kNoValue),
      wanted_frames_(frames),
      wanted_runs_(window_runs) {
  out_.graph.int8_profile = given.int8_profile;
  out_.mode = mode;
  out_.frames = frames;
  out_.time_axis = time_axis;
}

ValueId StreamBuilder::constant(ValueId id) {
  if (id == kNoValue) return kNoValue;
  Place& p = places_[static_cast<size_t>(id)];
  if (p.id != kNoValue) return p.id;
  const ir::Value& value = given_.value(id);
  p.id = value.kind == ir::ValueKind::kParameter
             ? b_.parameter(value.name, value.data, value.info ? *value.info : ir::ParameterInfo())
             : b_.constant(value.data, value.name);
  if (p.id != kNoValue) out_.graph.value(p.id).type = value.type;
  return p.id;
}

std::vector<ValueId> StreamBuilder::add(const Node& node, std::vector<ValueId> inputs,
                                        const Attrs& attrs) {
  b_.set_origin(node.origin);
  std::vector<ValueId> made = b_.add_multi(*node.op, std::move(inputs), attrs);
  made.resize(node.outputs.size(), kNoValue);
  for (size_t i = 0; i < made.size() && b_.ok(); ++i) {
    const TensorType& as = given_.type(node.outputs[i]);
    ir::Value& value = out_.graph.value(made[i]);
    value.name = given_.value(node.outputs[i]).name;
    value.type.quant = as.quant;
    value.type.dtype = as.dtype;
  }
  return made;
}

ValueId StreamBuilder::state_input(const Tensor& initial) {
  const ValueId id = b_.input(str("state", out_.states.size()), initial.type());
  out_.states.push_back({.input = out_.graph.inputs.size() - 1, .initial = initial});
  return id;
}

void StreamBuilder::state_output(ValueId value) { state_outputs_.push_back(value); }

ValueId StreamBuilder::first_frames(ValueId id, int axis, int64_t count) {
  if (!b_.ok()) return kNoValue;
  const TensorType type = out_.graph.type(id);
  if (type.shape[axis] == count) return id;
  std::vector<int64_t> begin(static_cast<size_t>(axis) + 1, 0);
  std::vector<int64_t> end(type.shape.dims().begin(), type.shape.dims().begin() + axis + 1);
  end.back() = count;
  const ValueId y = b_.add(ops::kSlice, {id}, {{"begin", begin}, {"end", end}});
  if (y != kNoValue) out_.graph.value(y).type.quant = type.quant;
  return y;
}

ValueId StreamBuilder::held(const Place& p, int64_t count) {
  if (!b_.ok() || count == frames(p)) return p.id;
  TensorType type = out_.graph.type(p.id);
  type.shape[p.axis] = count;
  const ValueId before = state_input(zeros(type));
  const ValueId now = b_.add(ops::kShiftIn, {before, p.id}, {{"axis", int64_t{p.axis}}});
  if (now == kNoValue) return now;
  out_.graph.value(now).type.quant = type.quant;
  state_output(now);
  return now;
}

Place StreamBuilder::delayed(const Place& p, int64_t count) {
  if (count == 0) return p;
  Place late = p;
  late.id = first_frames(held(p, frames(p) + count), p.axis, frames(p));
  late.warm_up += count;
  return late;
}

ValueId StreamBuilder::mask(const Place& p) {
  const ValueId id = b_.input("mask", {DType::kBool, Shape{1, frames(p)}, nullptr});
  out_.masks.push_back({out_.graph.inputs.size() - 1, frames(p), p.warm_up});
  return id;
}

bool StreamBuilder::needs_frames(const Place& p, int64_t stride) {
  const int64_t here = frames(p);
  if (here % stride == 0) return false;
  wanted_frames_ = frames_ * (stride / std::gcd(here, stride));
  return true;
}

// The value over the whole window.
ValueId StreamBuilder::whole(ValueId id) {
  const Place p = place(id);
  if (p.kind != Place::Kind::kStream) return p.kind == Place::Kind::kConstant ? constant(id) : p.id;
  ValueId& made = wholes_[static_cast<size_t>(id)];
  if (made != kNoValue) return made;
  const int64_t here = frames(p);
  const int64_t needed = (length(id) + p.warm_up + here - 1) / here;
  wanted_runs_ = std::max(wanted_runs_, needed);
  // The window of window_runs_ runs ago begins this many frames before the newest.
  const int64_t count = std::max(window_runs_, needed) * here - p.warm_up;
  const ValueId all = held(p, std::max(count, here));
  made = first_frames(all, p.axis, length(id));
  return made;
}

Status StreamBuilder::add_whole(const Node& node, const std::string& why) {
  const auto streams = [&](ValueId id) { return is_stream(id); };
  const bool has_stream = std::any_of(node.inputs.begin(), node.inputs.end(), streams);
  if (has_stream && mode_ == StreamMode::kSequence) {
    return unsupported(name_of(given_, node), " cannot be streamed: ", why);
  }
  if (has_stream && out_.whole_from.empty()) {
    out_.whole_from = str(name_of(given_, node), ": ", why);
  }
  std::vector<ValueId> inputs;
  int64_t first_run = 0;
  for (const ValueId id : node.inputs) {
    inputs.push_back(id == kNoValue ? kNoValue : whole(id));
    if (id != kNoValue) first_run = std::max(first_run, place(id).first_run);
  }
  const std::vector<ValueId> made = add(node, std::move(inputs), node.attrs);
  for (size_t i = 0; i < made.size(); ++i) {
    set(node.outputs[i], {.kind = Place::Kind::kWhole, .id = made[i], .first_run = first_run});
  }
  return b_.status();
}

Status StreamBuilder::add_node(const Node& node) {
  const auto is_same = [&](ValueId id) { return is_constant(id); };
  const auto streams = [&](ValueId id) { return is_stream(id); };
  if (std::all_of(node.inputs.begin(), node.inputs.end(), is_same)) {
    // A constant that was not folded.
    std::vector<ValueId> inputs;
    for (const ValueId id : node.inputs) inputs.push_back(constant(id));
    const std::vector<ValueId> made = add(node, std::move(inputs), node.attrs);
    for (size_t i = 0; i < made.size(); ++i) {
      set(node.outputs[i], {.kind = Place::Kind::kConstant, .id = made[i]});
    }
    return b_.status();
  }
  if (!std::any_of(node.inputs.begin(), node.inputs.end(), streams)) return add_whole(node, "");
  const Rule rule = find_rule(*node.op);
  if (rule == nullptr) return add_whole(node, "the operator has no form that works on frames");
  const std::optional<std::string> refusal = rule(*this, node);
  if (refusal) return add_whole(node, *refusal);
  return b_.status();
}

Status StreamBuilder::add_output(ValueId id) {
  const Place& p = place(id);
  if (p.kind == Place::Kind::kStream && mode_ == StreamMode::kSequence) {
    out_.outputs.push_back(
        {.is_sequence = true, .axis = p.axis, .frames = frames(p), .warm_up = p.warm_up});
    out_.graph.outputs.push_back(p.id);
    return {};
  }
  out_.graph.outputs.push_back(whole(id));
  const int64_t first = mode_ == StreamMode::kWindow ? window_runs_ - 1 : p.first_run;
  out_.outputs.push_back({.first_run = first});
  return {};
}

Result<StreamBuilder::Attempt> StreamBuilder::build() {
  for (size_t i = 0; i < given_.values.size(); ++i) {
    const ir::ValueKind kind = given_.values[i].kind;
    if (kind == ir::ValueKind::kConstant || kind == ir::ValueKind::kParameter) {
      places_[i].kind = Place::Kind::kConstant;
    }
  }
  TensorType type = given_.type(given_.inputs[0]);
  type.shape[time_axis_] = frames_;
  const ValueId x = b_.input(given_.value(given_.inputs[0]).name, type);
  set(given_.inputs[0], {.kind = Place::Kind::kStream, .id = x, .axis = time_axis_});
  for (const Node& node : given_.nodes) {
    if (Status status = add_node(node); !status.ok()) return status.error();
    if (wanted_frames_ != frames_) return Attempt{{}, wanted_frames_, 0};
  }
  for (const ValueId id : given_.outputs) {
    if (Status status = add_output(id); !status.ok()) return status.error();
  }
  if (!b_.ok()) return b_.status().error();
  if (wanted_runs_ != window_runs_) return Attempt{{}, frames_, wanted_runs_};
  for (size_t i = 0; i < state_outputs_.size(); ++i) {
    out_.states[i].output = out_.graph.outputs.size();
    out_.graph.outputs.push_back(state_outputs_[i]);
  }
  out_.macs = macs_of(out_.graph);
  out_.whole_macs = macs_of(given_);
  Attempt done;
  done.graph = std::move(out_);
  return done;
}

namespace {

constexpr int64_t kMostFrames = 1 << 16;

Result<StreamGraph> build_mode(const Graph& given, const StreamGraphOptions& o, StreamMode mode) {
  int64_t frames = std::max<int64_t>(o.frames, 1);
  int64_t runs = 0;
  while (true) {
    StreamBuilder builder(given, o.time_axis, frames, runs, mode);
    EW_TRY(StreamBuilder::Attempt attempt, builder.build());
    if (attempt.graph) return std::move(*attempt.graph);
    if (o.frames > 0 && attempt.frames != frames) {
      return invalid_argument("the strides along time need runs of ", attempt.frames,
                              " frames or a multiple, found ", o.frames);
    }
    if (attempt.frames > kMostFrames) {
      return unsupported("the strides along time need runs of ", attempt.frames,
                         " frames; at most ", kMostFrames, " are supported");
    }
    frames = attempt.frames;
    runs = attempt.window_runs;
  }
}

// Long enough for any receptive field, where a sequence has no length of its own.
constexpr int64_t kOpenLength = 100'003;

Result<Graph> with_length(const Graph& graph, const StreamGraphOptions& o, bool* is_open) {
  if (graph.inputs.size() != 1) {
    return unsupported("streaming: expected a model with one input, found ", graph.inputs.size());
  }
  Shape shape = graph.type(graph.inputs[0]).shape;
  if (o.time_axis < 1 || o.time_axis >= shape.rank()) {
    return invalid_argument("time axis ", o.time_axis, ": expected 1 to ", shape.rank() - 1,
                            " for an input of shape ", shape);
  }
  *is_open = shape[o.time_axis] == kUnknown;
  if (*is_open) shape[o.time_axis] = o.window > 0 ? o.window : kOpenLength;
  if (!*is_open && o.window > 0 && o.window != shape[o.time_axis]) {
    return invalid_argument("window: the model's input has ", shape[o.time_axis], " frames, found ",
                            o.window);
  }
  shape[0] = 1;
  for (int d = 1; d < shape.rank(); ++d) {
    if (shape[d] == kUnknown) {
      return unsupported("streaming: dimension ", d, " of the input is open as well as time");
    }
  }
  return ir::specialize(graph, std::vector<Shape>{shape});
}

}  // namespace
}  // namespace stream

Result<StreamGraph> make_stream_graph(const ir::Graph& graph, const StreamGraphOptions& options) {
  bool is_open = false;
  EW_TRY(const ir::Graph given, stream::with_length(graph, options, &is_open));
  const bool has_window = !is_open || options.window > 0;
  if (options.mode == StreamMode::kWindow && !has_window) {
    return invalid_argument(
        "the input's time axis is open: say how many frames a window has (window)");
  }
  if (options.mode != StreamMode::kAuto) return stream::build_mode(given, options, options.mode);
  Result<StreamGraph> sequence = stream::build_mode(given, options, StreamMode::kSequence);
  const bool may_try = !sequence.ok() && sequence.error().code == ErrorCode::kUnsupported;
  if (!may_try || !has_window) return sequence;
  return stream::build_mode(given, options, StreamMode::kWindow);
}

}  // namespace ew::runtime
