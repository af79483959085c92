#include "compress/quantize.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "compress/quantize_plan.h"
#include "ops/passes.h"
#include "runtime/executor.h"

namespace ew::compress {
namespace {

using ir::Graph;
using ir::kNoValue;
using ir::Node;
using ir::QuantParams;
using ir::QuantRule;
using ir::Tensor;
using ir::ValueId;
using ir::ValueKind;

bool is_named(const std::vector<std::string>& names, const std::string& layer) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return layer == name || layer.starts_with(name + "/");
  });
}

Status check(const Graph& g, const QuantizeOptions& options) {
  if (options.scale_bits < 1 || options.scale_bits > 24) {
    return invalid_argument("scale_bits: expected 1 to 24, found ", options.scale_bits);
  }
  for (const std::string& name : options.keep_float) {
    const bool exists = std::any_of(g.nodes.begin(), g.nodes.end(), [&](const Node& node) {
      return is_named({name}, layer_of(node));
    });
    if (!exists) return invalid_argument("no layer '", name, "' to keep in float");
  }
  return {};
}

float largest_magnitude(std::span<const float> values, size_t begin, size_t step) {
  float largest = 0;
  for (size_t i = begin; i < values.size(); i += step) {
    largest = std::max(largest, std::abs(values[i]));
  }
  return largest;
}

// One scale per output channel (the last dimensions), or one for all.
QuantParams kernel_params(const Graph& g, const Node& node, float input_scale,
                          const QuantizeOptions& options) {
  const std::span<const float> w = g.value(node.inputs[1]).data.values<float>();
  const int axis = kernel_axis(g, node);
  const Shape& shape = g.type(node.inputs[1]).shape;
  const auto channels = static_cast<size_t>(shape.product(axis, shape.rank()));
  std::vector<float> bias(channels, 0.F);
  if (node.inputs.size() > 2 && node.inputs[2] != kNoValue) {
    const std::span<const float> b = g.value(node.inputs[2]).data.values<float>();
    bias.assign(b.begin(), b.end());
  }
  const size_t entries = options.per_channel ? channels : 1;
  QuantParams q;
  q.axis = options.per_channel ? axis : -1;
  for (size_t c = 0; c < entries; ++c) {
    float scale = largest_magnitude(w, c, entries) / 127.F;
    // The bias is an int32 at input scale * kernel scale and must not saturate.
    const float largest_bias = largest_magnitude(bias, c, entries);
    scale = std::max(scale, largest_bias / (input_scale * 0x1p30F));
    if (!(scale > 0)) scale = 1;  // a dead channel: any scale does
    q.scales.push_back(round_scale_up(scale, options.scale_bits));
    q.zero_points.push_back(0);
  }
  return q;
}

void snap(std::span<float> w, const QuantParams& q) {
  for (size_t i = 0; i < w.size(); ++i) {
    const float scale = q.scales[i % q.scales.size()];
    w[i] = std::clamp(std::round(w[i] / scale), -127.F, 127.F) * scale;
  }
}

class RecordMaker {
 public:
  RecordMaker(const Graph& graph, const Ranges& ranges, const QuantizeOptions& options)
      : g_(graph), ranges_(ranges), options_(options) {}

  Result<ir::QuantizationRecord> make(const QuantizePlan& plan) {
    record_.profile = options_.profile;
    std::map<ValueId, QuantParams> made;  // by int8 nodes
    for (size_t i = 0; i < g_.nodes.size(); ++i) {
      if (!plan.nodes[i].is_int8) continue;
      const Node& node = g_.nodes[i];
      const ValueId out = plan.output(g_, i);
      std::vector<QuantParams> in;
      const size_t flowing = has_kernel(node) ? 1 : node.inputs.size();
      for (size_t k = 0; k < flowing; ++k) {
        EW_TRY(QuantParams q, input_params(plan, made, node.inputs[k]));
        in.push_back(std::move(q));
      }
      EW_TRY(QuantParams q, output_params(node, out, in[0]));
      record_.values[plan.keys[static_cast<size_t>(out)]] = q;
      made[out] = std::move(q);
      if (has_kernel(node)) EW_TRY_VOID(add_kernel(plan, node, in[0].scales[0]));
    }
    return std::move(record_);
  }

 private:
  Result<QuantParams> input_params(const QuantizePlan& plan,
                                   const std::map<ValueId, QuantParams>& made, ValueId id) {
    if (id == kNoValue) return QuantParams{};
    if (const auto it = made.find(id); it != made.end()) return it->second;
    const ir::Value& v = g_.value(id);
    if (v.kind == ValueKind::kParameter || v.kind == ValueKind::kConstant) return QuantParams{};
    EW_TRY(const ValueRange range, range_of(id));
    QuantParams q = activation_params(range);
    const std::string& key = plan.keys[static_cast<size_t>(id)];
    record_.values[v.kind == ValueKind::kInput ? key : border_key(key)] = q;
    return q;
  }

  Result<QuantParams> output_params(const Node& node, ValueId out, const QuantParams& in) const {
    const QuantRule& rule = node.op->quant;
    if (rule.kind == QuantRule::Kind::kFixed) return QuantParams{{rule.scale}, {rule.zero_point}};
    if (rule.kind == QuantRule::Kind::kSameAsInput) return in;
    EW_TRY(const ValueRange range, range_of(out));
    return activation_params(range);
  }

  Result<ValueRange> range_of(ValueId id) const {
    const auto it = ranges_.find(id);
    if (it == ranges_.end()) return invalid_argument("value %", id, " was not calibrated");
    return it->second;
  }

  // A kernel that several calls share has one scale: the first call's.
  Status add_kernel(const QuantizePlan& plan, const Node& node, float input_scale) {
    const std::string& key = plan.keys[static_cast<size_t>(node.inputs[1])];
    if (record_.values.contains(key)) return {};
    for (size_t k = 1; k < node.inputs.size(); ++k) {
      const std::span<const float> w = g_.value(node.inputs[k]).data.values<float>();
      if (!std::all_of(w.begin(), w.end(), [](float x) { return std::isfinite(x); })) {
        return invalid_data("'", g_.value(node.inputs[k]).name,
                            "' holds values that are not finite");
      }
    }
    record_.values[key] = kernel_params(g_, node, input_scale, options_);
    return {};
  }

  const Graph& g_;
  const Ranges& ranges_;
  const QuantizeOptions& options_;
  ir::QuantizationRecord record_;
};

QuantizePlan plan_for(const Graph& g, const QuantizeOptions& options) {
  return plan_quantization(g, [&](const Node& node, const Node* clamp, const std::string&) {
    return !is_named(options.keep_float, layer_of(node)) &&
           !(clamp && is_named(options.keep_float, layer_of(*clamp)));
  });
}

Result<ir::Model> with_record(const ir::Model& model, const Graph& g, const QuantizePlan& plan,
                              const Ranges& ranges, const QuantizeOptions& options) {
  EW_TRY(ir::QuantizationRecord record, RecordMaker(g, ranges, options).make(plan));
  ir::Model out = model;
  std::set<std::string> kernels;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (plan.nodes[i].is_int8 && has_kernel(g.nodes[i])) {
      kernels.insert(g.value(g.nodes[i].inputs[1]).name);
    }
  }
  for (ir::Value& v : out.graph.values) {
    if (v.kind != ValueKind::kParameter || !kernels.contains(v.name)) continue;
    snap(v.data.mutable_values<float>(), record.values.at(v.name));
  }
  out.quantization = std::move(record);
  return out;
}

Result<double> output_error(const Graph& exact, const Graph& rounded,
                            std::span<const Tensor> samples, ThreadPool* pool) {
  EW_TRY(const std::vector<Tensor> a, runtime::run_graph(exact, samples, {.pool = pool}));
  EW_TRY(const std::vector<Tensor> b, runtime::run_graph(rounded, samples, {.pool = pool}));
  double sum = 0;
  int64_t count = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].dtype() != DType::kF32) continue;
    const std::span<const float> x = a[i].values<float>();
    const std::span<const float> y = b[i].values<float>();
    for (size_t k = 0; k < x.size(); ++k) sum += (double{x[k]} - y[k]) * (double{x[k]} - y[k]);
    count += a[i].size();
  }
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

}  // namespace

float round_scale_up(float scale, int bits) {
  int exponent = 0;
  const float fraction = std::frexp(scale, &exponent);
  return std::ldexp(std::ceil(std::ldexp(fraction, bits)), exponent - bits);
}

QuantParams activation_params(ValueRange range) {
  const double min = std::min(0.0, double{range.min});
  const double max = std::max(0.0, double{range.max});
  const auto scale = static_cast<float>((max - min) / 255);
  if (!(scale > 0) || !std::isfinite(scale)) return {{1.F}, {0}};
  const double zero = std::clamp(std::round(-128 - min / double{scale}), -128.0, 127.0);
  return {{scale}, {static_cast<int32_t>(zero)}};
}

Result<Graph> inference_graph(const ir::Model& model) {
  EW_TRY(const Graph plain, ops::to_inference(model.graph));
  return ops::fold_constants(plain);
}

Result<Graph> quantizable_graph(const ir::Model& model) {
  EW_TRY(const Graph plain, inference_graph(model));
  return ops::lower_for_int8(plain);
}

Result<ir::Model> quantize(const ir::Model& model, const Ranges& ranges,
                           const QuantizeOptions& options) {
  EW_TRY(const Graph g, quantizable_graph(model));
  EW_TRY_VOID(check(g, options));
  return with_record(model, g, plan_for(g, options), ranges, options);
}

Result<Graph> deployed_graph(const ir::Model& model) {
  return model.quantization ? quantized_graph(model) : inference_graph(model);
}

Result<std::vector<Sensitivity>> layer_sensitivity(const ir::Model& model, const Ranges& ranges,
                                                   std::span<const Tensor> samples,
                                                   const QuantizeOptions& options,
                                                   ThreadPool* pool) {
  EW_TRY(const Graph g, quantizable_graph(model));
  EW_TRY_VOID(check(g, options));
  const QuantizePlan all = plan_for(g, options);
  std::vector<Sensitivity> result;
  std::set<std::string> seen;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const std::string layer = layer_of(g.nodes[i]);
    const bool counts =
        all.nodes[i].is_int8 && g.nodes[i].op->quant.kind != QuantRule::Kind::kSameAsInput;
    if (!counts || !seen.insert(layer).second) continue;
    const QuantizePlan only = plan_quantization(
        g,
        [&](const Node& node, const Node*, const std::string&) { return layer_of(node) == layer; });
    EW_TRY(const ir::Model part, with_record(model, g, only, ranges, options));
    EW_TRY(const Graph rounded, quantized_graph(part));
    EW_TRY(const double error, output_error(g, rounded, samples, pool));
    result.push_back({layer, error});
  }
  // An error that is no number is the worst of all.
  const auto rank = [](double error) { return std::isnan(error) ? HUGE_VAL : error; };
  std::sort(result.begin(), result.end(), [&](const Sensitivity& a, const Sensitivity& b) {
    const double first = rank(a.error);
    const double second = rank(b.error);
    return first != second ? first > second : a.layer < b.layer;
  });
  return result;
}

}  // namespace ew::compress
