// Signal operators as ONNX nodes of opset 17.
#include "formats/onnx/exporter.h"

namespace ew::formats::onnx {
namespace {

using ir::Node;
using Strings = std::vector<std::string>;

// DFT wants real numbers as [..., n, 1] and gives pairs.
bool export_dft(Exporter& e, const Node& node) {
  const ValueId x = node.inputs[0];
  const int rank = e.type(x).shape.rank();
  const bool is_complex = node.attrs.flag("complex");
  std::string in = e.name(x);
  if (!is_complex) in = e.add("Unsqueeze", {in, e.ints({rank})});
  Strings inputs{in};
  if (const int64_t length = node.attrs.integer("length"); length != 0) {
    inputs.push_back(
        e.initializer(ir::Tensor::from<int64_t>(std::vector<int64_t>{length}, Shape{}), "length"));
  }
  const int64_t axis = is_complex ? rank - 2 : rank - 1;
  std::string y = e.add("DFT", inputs,
                        {{"axis", axis},
                         {"inverse", int64_t{node.attrs.flag("inverse") ? 1 : 0}},
                         {"onesided", int64_t{node.attrs.flag("onesided") ? 1 : 0}}});
  const std::string& output = node.attrs.text("output");
  if (output != "complex") {
    y = e.add("ReduceSumSquare", {y},
              {{"axes", std::vector<int64_t>{axis + 1}}, {"keepdims", int64_t{0}}});
    if (output == "magnitude") y = e.add("Sqrt", {y});
  }
  e.set(node.outputs[0], y);
  return true;
}

// Gathered by a table of places; their number must be known.
bool export_frame(Exporter& e, const Node& node) {
  const Shape& x = e.type(node.inputs[0]).shape;
  const Result<int> axis = normalize_axis(node.attrs.integer("axis"), x.rank());
  if (!axis.ok() || x[*axis] == kUnknown) return false;
  const int64_t length = node.attrs.integer("length");
  const int64_t frames = e.type(node.outputs[0]).shape[*axis];
  std::vector<int64_t> places;
  for (int64_t f = 0; f < frames; ++f) {
    for (int64_t i = 0; i < length; ++i) places.push_back(f * node.attrs.integer("step") + i);
  }
  const std::string table =
      e.initializer(ir::Tensor::from<int64_t>(places, Shape{frames, length}), "places");
  e.set(node.outputs[0],
        e.add("Gather", {e.name(node.inputs[0]), table}, {{"axis", int64_t{*axis}}}));
  return true;
}

}  // namespace

bool export_signal_node(Exporter& e, const Node& node) {
  if (node.op == &ops::kDft) return export_dft(e, node);
  if (node.op == &ops::kFrame) return export_frame(e, node);
  return false;
}

}  // namespace ew::formats::onnx
