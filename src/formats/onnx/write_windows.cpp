// Convolutions, poolings, padding and resizing as ONNX nodes, channels first.
#include <algorithm>

#include "formats/onnx/exporter.h"
#include "ops/int8.h"
#include "ops/window.h"

namespace ew::formats::onnx {
namespace {

using ir::Node;

std::vector<int64_t> or_ones(const std::vector<int64_t>& values, size_t n) {
  return values.empty() ? std::vector<int64_t>(n, 1) : values;
}

ExportAttrs window(Exporter& e, const Node& node, const std::vector<int64_t>& kernel,
                   bool has_dilations = true) {
  const size_t n = kernel.size();
  ExportAttrs attrs{{"kernel_shape", kernel}, {"strides", or_ones(node.attrs.ints("strides"), n)}};
  const std::vector<int64_t> dilations = or_ones(node.attrs.ints("dilations"), n);
  const bool is_plain =
      std::all_of(dilations.begin(), dilations.end(), [](int64_t d) { return d == 1; });
  if (has_dilations) attrs.emplace_back("dilations", dilations);
  if (!has_dilations && !is_plain) e.fail(unsupported(node.origin, ": a dilated mean"));
  const Shape& x = e.type(node.inputs[0]).shape;
  const std::string& padding = node.attrs.text("padding");
  const auto dims = ops::window_dims(ops::spatial_of(x), kernel, node.attrs);
  if (!dims.ok()) {
    e.fail(dims.error());
    return attrs;
  }
  const bool is_open =
      std::any_of(dims->begin(), dims->end(), [](const auto& d) { return d.in == kUnknown; });
  if (padding == "same" && is_open) {
    attrs.emplace_back("auto_pad", std::string("SAME_UPPER"));
  } else if (padding != "valid") {
    std::vector<int64_t> pads;
    for (const auto& d : *dims) pads.push_back(d.pad_begin);
    for (const auto& d : *dims) pads.push_back(d.pad_end);
    attrs.emplace_back("pads", pads);
  }
  return attrs;
}

std::string clamped(Exporter& e, const Node& node, const std::string& x) {
  if (!ops::int8::has_clamp(node.attrs)) return x;
  const double low = node.attrs.number("clamp_min");
  const double high = node.attrs.number("clamp_max");
  if (low == 0 && high > 3.4e38) return e.add("Relu", {x});
  return e.add("Clip", {x, e.number(std::max(low, -3.4e38), DType::kF32),
                        e.number(std::min(high, 3.4e38), DType::kF32)});
}

std::vector<int64_t> kernel_of(const Shape& w) { return {w.begin(), w.end() - 2}; }

// Kernel dimensions last, the two channel axes in front in the given order.
std::vector<int64_t> channels_front(int rank, int64_t first, int64_t second) {
  std::vector<int64_t> perm{first, second};
  for (int d = 0; d < rank - 2; ++d) perm.push_back(d);
  return perm;
}

void export_conv(Exporter& e, const Node& node) {
  const Shape& w = e.type(node.inputs[1]).shape;
  const int rank = w.rank();
  const bool is_depthwise = node.op == &ops::kDepthwiseConv;
  const std::vector<int64_t> kernel = kernel_of(w);
  ExportAttrs attrs = window(e, node, kernel);
  Shape target{is_depthwise ? w[-2] * w[-1] : w[-1], is_depthwise ? 1 : w[-2]};
  target.dims().insert(target.dims().end(), kernel.begin(), kernel.end());
  attrs.emplace_back("group", is_depthwise ? w[-2] : node.attrs.integer("groups"));
  const std::vector<int64_t> perm = is_depthwise ? channels_front(rank, rank - 2, rank - 1)
                                                 : channels_front(rank, rank - 1, rank - 2);
  std::vector<std::string> in{e.first(node.inputs[0]), e.kernel(node.inputs[1], perm, target, 0)};
  if (node.inputs.size() > 2 && node.inputs[2] != kNoValue) in.push_back(e.vector(node.inputs[2]));
  e.set(node.outputs[0], clamped(e, node, e.add("Conv", in, attrs)), true);
}

void export_conv_transpose(Exporter& e, const Node& node) {
  const Shape& w = e.type(node.inputs[1]).shape;
  const std::vector<int64_t> kernel = kernel_of(w);
  const size_t n = kernel.size();
  const Shape& x = e.type(node.inputs[0]).shape;
  // With a stride, the lengths of the output do not depend on how the pads were found; an open
  // length takes those of any.
  std::vector<int64_t> lengths(x.begin() + 1, x.end() - 1);
  for (int64_t& d : lengths) d = d == kUnknown ? 16 : d;
  const auto dims =
      ops::transposed_window_dims(lengths, kernel, node.attrs.ints("output_padding"), node.attrs);
  if (!dims.ok()) return e.fail(dims.error());
  std::vector<int64_t> pads(2 * n);
  std::vector<int64_t> extra(n);
  for (size_t i = 0; i < n; ++i) {
    const ops::WindowDim& d = (*dims)[i];
    pads[i] = d.pad_begin;
    const int64_t full = (d.out - 1) * d.stride + d.extent();
    const int64_t cut = full - d.pad_begin - d.in;  // negative: output padding
    pads[n + i] = std::max<int64_t>(cut, 0);
    extra[i] = std::max<int64_t>(-cut, 0);
  }
  ExportAttrs attrs{{"kernel_shape", kernel},
                    {"strides", or_ones(node.attrs.ints("strides"), n)},
                    {"dilations", or_ones(node.attrs.ints("dilations"), n)},
                    {"pads", pads},
                    {"output_padding", extra}};
  Shape target{w[-1], w[-2]};
  target.dims().insert(target.dims().end(), kernel.begin(), kernel.end());
  const std::vector<int64_t> perm = channels_front(w.rank(), w.rank() - 1, w.rank() - 2);
  std::vector<std::string> in{e.first(node.inputs[0]), e.kernel(node.inputs[1], perm, target, 0)};
  if (node.inputs.size() > 2 && node.inputs[2] != kNoValue) in.push_back(e.vector(node.inputs[2]));
  e.set(node.outputs[0], e.add("ConvTranspose", in, attrs), true);
}

void export_pool(Exporter& e, const Node& node) {
  const bool is_max = node.op == &ops::kMaxPool;
  const ExportAttrs attrs = window(e, node, node.attrs.ints("pool"), is_max);
  const std::string y = e.add(is_max ? "MaxPool" : "AveragePool", {e.first(node.inputs[0])}, attrs);
  e.set(node.outputs[0], y, true);
}

void export_pad(Exporter& e, const Node& node) {
  const ValueId x = node.inputs[0];
  const int rank = e.type(x).shape.rank();
  const bool is_first = rank >= 3 && e.has_first(x) && !e.has_plain(x);
  const std::vector<int64_t>& pads = node.attrs.ints("pads");
  std::vector<int64_t> moved = pads;
  for (int d = 0; is_first && d < rank; ++d) {
    const auto to = static_cast<size_t>(first_axis(d, rank));
    moved[to] = pads[static_cast<size_t>(d)];
    moved[to + static_cast<size_t>(rank)] = pads[static_cast<size_t>(d + rank)];
  }
  const DType dtype = e.type(x).quant ? DType::kF32 : e.type(x).dtype;
  const std::string y = e.add("Pad", {is_first ? e.first(x) : e.name(x), e.ints(moved),
                                      e.number(node.attrs.number("value"), dtype)});
  e.set(node.outputs[0], y, is_first);
}

void export_resize(Exporter& e, const Node& node) {
  const Shape& to = e.type(node.outputs[0]).shape;
  const Shape& from = e.type(node.inputs[0]).shape;
  if (from[1] == kUnknown || from[2] == kUnknown) {
    return e.fail(unsupported(node.origin, ": a resize of open lengths"));
  }
  const auto scale = [&](int d) { return static_cast<float>(to[d]) / static_cast<float>(from[d]); };
  const std::string& method = node.attrs.text("method");
  ExportAttrs attrs{{"coordinate_transformation_mode", std::string("half_pixel")}};
  if (method == "nearest") {
    attrs.emplace_back("mode", std::string("nearest"));
    attrs.emplace_back("nearest_mode", std::string("round_prefer_ceil"));
  } else if (method == "bilinear") {
    attrs.emplace_back("mode", std::string("linear"));
  } else {
    attrs.emplace_back("mode", std::string("cubic"));
    attrs.emplace_back("cubic_coeff_a", -0.5);
    attrs.emplace_back("exclude_outside", int64_t{1});
  }
  std::vector<std::string> in{e.first(node.inputs[0]), ""};
  if (to[0] == kUnknown) {
    const std::vector<float> scales{1, 1, scale(1), scale(2)};
    in.push_back(e.initializer(Tensor::from<float>(scales, Shape{4}), "scales"));
  } else {
    in.push_back("");
    in.push_back(e.ints({to[0], to[3], to[1], to[2]}));
  }
  e.set(node.outputs[0], e.add("Resize", in, attrs), true);
}

}  // namespace

bool export_window_node(Exporter& e, const Node& node) {
  if (node.op == &ops::kConv || node.op == &ops::kDepthwiseConv) {
    export_conv(e, node);
  } else if (node.op == &ops::kConvTranspose) {
    export_conv_transpose(e, node);
  } else if (node.op == &ops::kMaxPool || node.op == &ops::kAvgPool) {
    export_pool(e, node);
  } else if (node.op == &ops::kPad) {
    export_pad(e, node);
  } else if (node.op == &ops::kResize) {
    export_resize(e, node);
  } else {
    return false;
  }
  return true;
}

}  // namespace ew::formats::onnx
