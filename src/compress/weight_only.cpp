#include "compress/weight_only.h"

#include <algorithm>
#include <cmath>

#include "ir/rewriter.h"
#include "ops/ops.h"

namespace ew::compress {
namespace {

constexpr int64_t kLeastWeights = 4096;
constexpr float kSteps = 7;

bool is_fixed(const ir::Value& value) {
  return value.kind == ir::ValueKind::kConstant || value.kind == ir::ValueKind::kParameter;
}

bool has_kernel(const ir::Graph& graph, const ir::Node& node) {
  if (node.op != &ops::kDense) return false;
  const ir::Value& w = graph.value(node.inputs[1]);
  return is_fixed(w) && w.type.dtype == DType::kF32 && !w.type.quant &&
         graph.type(node.inputs[0]).dtype == DType::kF32 && w.data.size() >= kLeastWeights;
}

ir::Tensor four_bits(const ir::Tensor& w, int64_t group) {
  const int64_t rows = w.shape()[0];
  const int64_t columns = w.shape()[1];
  const int64_t step = group > 0 ? group : rows;
  const auto from = w.values<float>();
  ir::QuantParams quant;
  quant.axis = 1;
  ir::Tensor out(DType::kI8, w.shape());
  const auto to = out.mutable_values<int8_t>();
  for (int64_t first = 0; first < rows; first += step) {
    const int64_t end = std::min(rows, first + step);
    for (int64_t c = 0; c < columns; ++c) {
      float largest = 0;
      for (int64_t r = first; r < end; ++r) {
        largest = std::max(largest, std::abs(from[static_cast<size_t>(r * columns + c)]));
      }
      const float scale = largest > 0 ? largest / kSteps : 1;
      for (int64_t r = first; r < end; ++r) {
        const auto i = static_cast<size_t>(r * columns + c);
        to[i] = static_cast<int8_t>(std::clamp(std::round(from[i] / scale), -kSteps, kSteps));
      }
      quant.scales.push_back(scale);
      quant.zero_points.push_back(0);
    }
  }
  out.set_quant(std::make_shared<const ir::QuantParams>(std::move(quant)));
  return out;
}

}  // namespace

Result<ir::Graph> quantize_weights_int4(const ir::Graph& graph, int64_t group) {
  if (group != 0 && (group < 16 || (group & (group - 1)) != 0)) {
    return invalid_argument("expected groups of 16, 32, 64, ... inputs, or 0, found ", group);
  }
  ir::Rewriter out(graph);
  int64_t count = 0;
  for (const ir::Node& node : graph.nodes) {
    if (!has_kernel(graph, node)) {
      out.copy(node);
      continue;
    }
    ++count;
    const ir::Value& w = graph.value(node.inputs[1]);
    std::vector<ir::ValueId> inputs = out.inputs(node);
    inputs[1] = out.b().constant(four_bits(w.data, group), w.name);
    ir::Attrs attrs = node.attrs;
    attrs.set("asymmetric_inputs", true);
    out.b().set_origin(node.origin);
    const ir::ValueId y = out.b().add(ops::kDense, inputs, attrs);
    if (y == ir::kNoValue) return out.b().status().error();
    out.b().graph().values[static_cast<size_t>(y)].name = graph.value(node.outputs[0]).name;
    out.map(node.outputs[0], y);
  }
  if (count == 0) {
    return invalid_argument("no dense layer with at least ", kLeastWeights, " float weights");
  }
  EW_TRY(ir::Graph result, out.finish());
  return result;
}

}  // namespace ew::compress
