#include "compress/figures.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "compress/prune.h"
#include "compress/quantize.h"
#include "compress/quantize_plan.h"

namespace ew::compress {
namespace {

using ir::Graph;
using ir::kNoValue;
using ir::Tensor;
using ir::ValueId;

bool is_stored(const ir::Value& v) {
  return v.kind == ir::ValueKind::kParameter || v.kind == ir::ValueKind::kConstant;
}

// Scales of kernels are stored; those of biases follow from them.
size_t scale_bytes(const ir::Value& v) {
  return v.type.quant && v.type.dtype == DType::kI8 ? v.type.quant->scales.size() * sizeof(float)
                                                    : 0;
}

int64_t bytes_of(const ir::Value& v) {
  return static_cast<int64_t>(v.data.size_bytes() + scale_bytes(v));
}

std::vector<ValueId> stored_values(const Graph& g) {
  std::set<ValueId> ids;
  for (const ir::Node& node : g.nodes) {
    for (const ValueId id : node.inputs) {
      if (id != kNoValue && is_stored(g.value(id))) ids.insert(id);
    }
  }
  return {ids.begin(), ids.end()};
}

Result<Graph> single_sample(const Graph& g) {
  std::vector<Shape> shapes;
  for (const ValueId id : g.inputs) {
    Shape shape = g.type(id).shape;
    for (int64_t& d : shape.dims()) d = d == kUnknown ? 1 : d;
    shapes.push_back(std::move(shape));
  }
  return ir::specialize(g, shapes);
}

int64_t macs_of(const Graph& g, const ir::Node& node) {
  if (node.op->macs == nullptr) return 0;
  std::vector<ir::TensorType> out;
  for (const ValueId id : node.outputs) out.push_back(g.type(id));
  return node.op->macs(g.input_types(node), out, node.attrs);
}

bool is_zero(const Tensor& t, int64_t i) {
  const auto at = static_cast<size_t>(i);
  if (t.dtype() == DType::kI8) return t.values<int8_t>()[at] == 0;
  return t.dtype() == DType::kF32 && t.values<float>()[at] == 0;
}

}  // namespace

int64_t deflated_bytes(const void* data, size_t bytes, size_t element_bytes) {
  const auto* source = static_cast<const uint8_t*>(data);
  std::vector<uint8_t> shuffled(source, source + bytes);
  if (element_bytes > 1) {
    const size_t n = bytes / element_bytes;
    for (size_t i = 0; i < n; ++i) {
      for (size_t k = 0; k < element_bytes; ++k) {
        shuffled[k * n + i] = source[i * element_bytes + k];
      }
    }
  }
  uLongf size = compressBound(static_cast<uLong>(bytes));
  std::vector<uint8_t> target(size);
  compress2(target.data(), &size, shuffled.data(), static_cast<uLong>(bytes), Z_BEST_COMPRESSION);
  return static_cast<int64_t>(size);
}

Result<SizeFigures> size_figures(const ir::Model& model) {
  EW_TRY(const Graph deployed, deployed_graph(model));
  EW_TRY(const Graph g, single_sample(deployed));
  SizeFigures figures;
  for (const ValueId id : stored_values(g)) {
    const ir::Value& v = g.value(id);
    figures.bytes += bytes_of(v);
    figures.compressed_bytes +=
        deflated_bytes(v.data.data(), v.data.size_bytes(), dtype_size(v.type.dtype)) +
        static_cast<int64_t>(scale_bytes(v));
  }
  for (const ir::Node& node : g.nodes) figures.macs += macs_of(g, node);
  figures.zero_fraction = zero_fraction(model.graph);
  return figures;
}

Result<std::vector<LayerFigures>> layer_figures(const ir::Model& model) {
  EW_TRY(const Graph deployed, deployed_graph(model));
  EW_TRY(const Graph g, single_sample(deployed));
  std::vector<LayerFigures> rows;
  std::map<std::string, size_t> row_of;
  std::map<std::string, std::pair<int64_t, int64_t>> zeros;  // of all, per layer
  std::set<ValueId> counted;
  for (const ir::Node& node : g.nodes) {
    const std::string layer = layer_of(node);
    for (const ValueId id : node.inputs) {
      if (id == kNoValue || !is_stored(g.value(id)) || !counted.insert(id).second) continue;
      const ir::Value& v = g.value(id);
      if (!row_of.contains(layer)) {
        row_of[layer] = rows.size();
        rows.push_back({.name = layer});
      }
      LayerFigures& row = rows[row_of[layer]];
      row.bytes += bytes_of(v);
      row.parameters += v.data.size();
      if (v.type.shape.rank() < 2) continue;
      row.is_int8 |= v.type.dtype == DType::kI8;
      for (int64_t i = 0; i < v.data.size(); ++i) zeros[layer].first += is_zero(v.data, i);
      zeros[layer].second += v.data.size();
    }
    if (const auto it = row_of.find(layer); it != row_of.end()) {
      rows[it->second].macs += macs_of(g, node);
    }
  }
  for (LayerFigures& row : rows) {
    const auto [zero, all] = zeros[row.name];
    if (all > 0) row.zero_fraction = static_cast<double>(zero) / static_cast<double>(all);
  }
  return rows;
}

Interval wilson_interval(double share, int64_t count) {
  if (count < 1) return {};
  constexpr double kZ = 1.959963984540054;  // 97.5 % of the normal distribution
  const auto n = static_cast<double>(count);
  const double z2 = kZ * kZ;
  const double centre = (share + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ / (1 + z2 / n) * std::sqrt(share * (1 - share) / n + z2 / (4 * n * n));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

}  // namespace ew::compress
