// Windows that slide along time, and recurrent layers.
#include <algorithm>

#include "ops/ops.h"
#include "ops/recurrent.h"
#include "ops/window.h"
#include "runtime/stream/stream_builder.h"

namespace ew::runtime::stream {

using ir::Attrs;
using ir::kNoValue;
using ir::Node;
using ir::ValueId;

namespace {

std::vector<ops::WindowDim> dims_of(const StreamBuilder& s, const Node& node) {
  const Shape& x = s.given().type(node.inputs[0]).shape;
  if (node.attrs.has("pool")) {
    return *ops::window_dims(ops::spatial_of(x), node.attrs.ints("pool"), node.attrs);
  }
  const Shape& w = s.given().type(node.inputs[1]).shape;
  const auto kernel = std::span(w.dims()).first(static_cast<size_t>(w.rank() - 2));
  return *ops::window_dims(ops::spatial_of(x), kernel, node.attrs);
}

// How a stream's register stands to the windows that read it.
struct Register {
  int64_t frames;   // what the windows of a run read
  int64_t unread;   // newer ones, for runs to come
  int64_t warm_up;  // outputs without a meaning
};

// Output o reads frames from o * stride - pad. A run's windows begin `reach` frames before its new
// ones, and `unread` more so that those beginnings meet.
Register register_of(const ops::WindowDim& d, const Place& p, int64_t frames) {
  const int64_t reach = std::max<int64_t>(0, d.extent() - d.stride);
  int64_t unread = (d.pad_begin - p.warm_up - reach) % d.stride;
  if (unread < 0) unread += d.stride;
  while (p.warm_up + reach + unread < d.pad_begin) unread += d.stride;
  return {reach + frames, unread, (p.warm_up + reach + unread - d.pad_begin) / d.stride};
}

}  // namespace

std::optional<std::string> add_window(StreamBuilder& s, const Node& node) {
  const ValueId x = node.inputs[0];
  if (!s.is_stream(x)) return "its first input does not change with time";
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    if (!s.is_constant(node.inputs[i])) return "an input besides the first changes with time";
  }
  const bool is_pool = node.attrs.has("pool");
  if (!is_pool && is_hybrid(s, node)) return "it takes the scale of its input from all frames";
  Place p = s.place(x);
  const int rank = s.given().type(x).shape.rank();
  if (p.axis == rank - 1) return "time is its channels";
  const std::vector<ops::WindowDim> dims = dims_of(s, node);
  const ops::WindowDim& time = dims[static_cast<size_t>(p.axis - 1)];
  if (time.pad_end > 0) {
    return str(
        "it pads the end of time by ", time.pad_end,
        ", so its results change when more frames come (padding 'causal' or 'valid' does not)");
  }
  if (time.pad_begin > 0) {
    if (s.is_window()) return "it pads the begin of the window, which moves";
    if (is_pool) return "a pooling that pads the begin of time";
    if (p.warm_up > 0) return "it pads frames that earlier nodes without padding dropped";
  }
  if (s.needs_frames(p, time.stride)) return {};
  const Register r = register_of(time, p, s.frames(p));
  const ValueId all = s.held(p, r.frames + r.unread);
  std::vector<ValueId> inputs{s.first_frames(all, p.axis, r.frames)};
  for (size_t i = 1; i < node.inputs.size(); ++i) inputs.push_back(s.constant(node.inputs[i]));
  Attrs attrs = node.attrs;
  std::vector<int64_t> pads;
  for (const ops::WindowDim& d : dims) pads.push_back(&d == &time ? 0 : d.pad_begin);
  for (const ops::WindowDim& d : dims) pads.push_back(&d == &time ? 0 : d.pad_end);
  attrs.set("padding", std::string("explicit"));
  attrs.set("pads", pads);
  p.id = s.add(node, std::move(inputs), attrs).front();
  p.stride *= time.stride;
  p.warm_up = r.warm_up;
  s.set(node.outputs[0], p);
  return {};
}

std::optional<std::string> add_recurrent(StreamBuilder& s, const Node& node) {
  if (s.is_window()) return "its state would begin with the window, which moves";
  if (node.attrs.flag("go_backwards")) return "it begins with the last frame";
  const auto input = [&](size_t i) { return i < node.inputs.size() ? node.inputs[i] : kNoValue; };
  if (!s.is_stream(input(ops::kX))) return "its first input does not change with time";
  const Place& x = s.place(input(ops::kX));
  if (x.axis != 1) return "time is not axis 1 of its input";
  std::vector<ValueId> inputs{x.id};
  for (size_t i = 1; i <= ops::kC0; ++i) {
    if (i == ops::kMask) {
      inputs.push_back(kNoValue);
      continue;
    }
    if (!s.is_constant(input(i))) return "a weight or first state is computed";
    inputs.push_back(s.constant(input(i)));
  }
  if (s.is_stream(input(ops::kMask))) {
    const Place& mask = s.place(input(ops::kMask));
    if (mask.warm_up != 0 || x.warm_up != 0 || mask.stride != x.stride) {
      return "its mask has other frames than its input";
    }
    inputs[ops::kMask] = mask.id;
  } else if (input(ops::kMask) != kNoValue) {
    return "its mask does not come with the frames";
  } else if (x.warm_up > 0) {
    inputs[ops::kMask] = s.mask(x);
  }
  const int64_t units = s.given().type(input(ops::kRecurrent)).shape[0];
  const size_t states = node.op == &ops::kLstm ? 2 : 1;
  for (size_t k = 0; k < states; ++k) {
    const ValueId given = input(ops::kH0 + k);
    ir::Tensor first(s.given().type(input(ops::kX)).dtype, Shape{1, units});
    if (given != kNoValue) first = s.given().value(given).data;
    inputs[ops::kH0 + k] = s.state_input(first);
  }
  if (states == 1) inputs.pop_back();
  const std::vector<ValueId> made = s.add(node, std::move(inputs), node.attrs);
  if (made.size() <= states) return {};  // the builder keeps the error
  for (size_t k = 0; k < states; ++k) s.state_output(made[1 + k]);
  const int64_t first_run = x.warm_up / s.frames(x);
  for (size_t i = 0; i < made.size(); ++i) {
    if (i == 0 && node.attrs.flag("return_sequences")) {
      Place y = x;
      y.id = made[0];
      s.set(node.outputs[0], y);
    } else {
      s.set(node.outputs[i], {.kind = Place::Kind::kWhole, .id = made[i], .first_run = first_run});
    }
  }
  return {};
}

}  // namespace ew::runtime::stream
