// Rebuilds the integer graph from real-valued weights and a record of scales.
#include <algorithm>
#include <cmath>
#include <limits>

#include "compress/quantize.h"
#include "compress/quantize_plan.h"
#include "ir/passes.h"
#include "ir/rewriter.h"
#include "ops/passes.h"

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
using Quant = std::shared_ptr<const QuantParams>;

Status check_params(const std::string& key, const QuantParams& q) {
  bool is_good = !q.scales.empty() && q.scales.size() == q.zero_points.size();
  for (const float s : q.scales) is_good &= s > 0 && std::isfinite(s);
  for (const int32_t z : q.zero_points) is_good &= z >= -128 && z <= 127;
  if (is_good) return {};
  return invalid_data("quantisation of '", key,
                      "': expected positive scales and zero points from -128 to 127");
}

Tensor to_int8(const Tensor& real, const Quant& quant) {
  Tensor out(ir::TensorType{DType::kI8, real.shape(), quant});
  const std::span<const float> x = real.values<float>();
  const std::span<int8_t> y = out.mutable_values<int8_t>();
  const size_t n = quant->scales.size();
  for (size_t i = 0; i < x.size(); ++i) {
    const float q =
        std::round(x[i] / quant->scales[i % n]) + static_cast<float>(quant->zero_points[i % n]);
    y[i] = std::isnan(q) ? int8_t{0} : static_cast<int8_t>(std::clamp(q, -128.F, 127.F));
  }
  return out;
}

class Quantizer {
 public:
  Quantizer(const Graph& graph, const ir::QuantizationRecord& record)
      : g_(graph),
        record_(record),
        out_(graph),
        int8_(graph.values.size(), kNoValue),
        plan_(plan_quantization(graph, [&](const Node&, const Node*, const std::string& key) {
          return record.values.contains(key);
        })) {
    out_.b().graph().int8_profile = record.profile;
  }

  Result<Graph> run() {
    for (const auto& [key, params] : record_.values) EW_TRY_VOID(check_params(key, params));
    for (size_t i = 0; i < g_.nodes.size(); ++i) {
      if (plan_.nodes[i].is_absorbed) continue;
      if (plan_.nodes[i].is_int8) {
        EW_TRY_VOID(add_int8(i));
      } else {
        EW_TRY_VOID(add_float(g_.nodes[i]));
      }
    }
    for (const ValueId id : g_.outputs) EW_TRY_VOID(need_float(id));
    for (const ValueId id : g_.output_masks) EW_TRY_VOID(need_float(id));
    EW_TRY(Graph result, out_.finish());
    ir::remove_dead_nodes(result);
    ir::remove_unused_values(result);
    EW_TRY_VOID(ir::verify(result, ir::Stage::kQuantised));
    return result;
  }

 private:
  ir::Builder& b() { return out_.b(); }

  Result<Quant> params(const std::string& key) const {
    const auto it = record_.values.find(key);
    if (it == record_.values.end()) {
      return invalid_data("the quantisation record has no entry '", key, "'");
    }
    return std::make_shared<const QuantParams>(it->second);
  }
  const std::string& key(ValueId id) const { return plan_.keys[static_cast<size_t>(id)]; }

  ValueId typed(ValueId id, const Quant& quant, const std::string& name) {
    if (!b().ok()) return id;
    ir::Value& v = b().graph().value(id);
    v.type.quant = quant;
    v.type.dtype = DType::kI8;
    v.name = name;
    return id;
  }

  // `id` of the source as float32, dequantised where only its int8 form exists.
  Status need_float(ValueId id) {
    if (id == kNoValue || out_.at(id) != kNoValue) return {};
    const ValueId from = int8_[static_cast<size_t>(id)];
    if (from == kNoValue) return make_error(ErrorCode::kInternal, "value %", id, " has no form");
    const ValueId real = b().add(ops::kDequantize, {from});
    if (b().ok()) b().graph().value(real).name = g_.value(id).name;
    out_.map(id, real);
    return {};
  }

  Result<ValueId> need_int8(ValueId id) {
    ValueId& known = int8_[static_cast<size_t>(id)];
    if (known != kNoValue) return known;
    const ir::Value& v = g_.value(id);
    if (v.kind == ValueKind::kParameter || v.kind == ValueKind::kConstant) {
      const std::span<const float> x = v.data.values<float>();
      const auto [min, max] = std::minmax_element(x.begin(), x.end());
      const auto quant = std::make_shared<const QuantParams>(
          x.empty() ? QuantParams{{1.F}, {0}} : activation_params({*min, *max}));
      known = b().constant(to_int8(v.data, quant), v.name);
      return known;
    }
    EW_TRY(const Quant quant, params(v.kind == ValueKind::kInput ? key(id) : border_key(key(id))));
    known = typed(b().add(ops::kQuantize, {out_.at(id)}), quant, v.name);
    return known;
  }

  Status add_float(const Node& node) {
    for (const ValueId id : node.inputs) EW_TRY_VOID(need_float(id));
    out_.copy(node);
    return {};
  }

  Status add_int8(size_t index) {
    const Node& node = g_.nodes[index];
    const NodePlan& plan = plan_.nodes[index];
    const ValueId result = plan_.output(g_, index);
    EW_TRY(Quant quant, params(key(result)));
    if (quant->scales.size() != 1) {
      return invalid_data("quantisation of '", key(result), "': expected one scale");
    }
    std::vector<ValueId> in;
    const size_t flowing = has_kernel(node) ? 1 : node.inputs.size();
    for (size_t k = 0; k < flowing; ++k) {
      EW_TRY(ValueId id, need_int8(node.inputs[k]));
      b().set_origin(node.origin);
      if (node.op->quant.kind == QuantRule::Kind::kSameAsInput && b().ok()) {
        quant = b().type(id).quant;
      } else if (node.op->name == std::string_view("concat") && b().ok() &&
                 *b().type(id).quant != *quant) {
        // Peers only concatenate tensors of one scale.
        id = typed(b().add(ops::kQuantize, {id}), quant, "");
      }
      in.push_back(id);
    }
    b().set_origin(node.origin);
    if (has_kernel(node)) EW_TRY_VOID(add_kernel(node, in));
    ir::Attrs attrs = node.attrs;
    if (plan.clamp != nullptr) {
      const auto [min, max] = *ops::clamp_bounds(*plan.clamp);
      attrs.set("clamp_min", min);
      attrs.set("clamp_max", max);
    }
    int8_[static_cast<size_t>(result)] =
        typed(b().add(*node.op, in, attrs), quant, g_.value(result).name);
    return {};
  }

  // Appends the int8 kernel and the int32 bias at input scale * kernel scale.
  Status add_kernel(const Node& node, std::vector<ValueId>& in) {
    if (!b().ok()) return {};
    const float s_x = b().type(in[0]).quant->scales[0];
    const ir::Value& w = g_.value(node.inputs[1]);
    EW_TRY(const Quant quant, params(key(node.inputs[1])));
    const int axis = kernel_axis(g_, node);
    const auto channels = static_cast<size_t>(w.type.shape.product(axis, w.type.shape.rank()));
    const size_t entries = quant->scales.size();
    const bool fits =
        (entries == 1 && quant->axis < 0) || (entries == channels && quant->axis == axis);
    if (!fits || std::any_of(quant->zero_points.begin(), quant->zero_points.end(),
                             [](int32_t z) { return z != 0; })) {
      return invalid_data("quantisation of '", w.name, "': expected 1 or ", channels,
                          " scales and zero points 0, found ", entries, " scales");
    }
    in.push_back(b().constant(to_int8(w.data, quant), w.name));
    if (node.inputs.size() < 3 || node.inputs[2] == kNoValue) return {};
    const ir::Value& bias = g_.value(node.inputs[2]);
    QuantParams q;
    q.axis = entries == 1 ? -1 : 0;
    for (const float s_w : quant->scales) {
      q.scales.push_back(s_x * s_w);
      q.zero_points.push_back(0);
    }
    const auto shared = std::make_shared<const QuantParams>(std::move(q));
    Tensor stored(ir::TensorType{DType::kI32, bias.type.shape, shared});
    const std::span<const float> real = bias.data.values<float>();
    const std::span<int32_t> target = stored.mutable_values<int32_t>();
    for (size_t i = 0; i < target.size(); ++i) {
      const double steps = std::round(double{real[i]} / double{shared->scales[i % entries]});
      target[i] =
          std::isnan(steps)
              ? 0
              : static_cast<int32_t>(std::clamp(steps, double{std::numeric_limits<int32_t>::min()},
                                                double{std::numeric_limits<int32_t>::max()}));
    }
    in.push_back(b().constant(std::move(stored), bias.name));
    return {};
  }

  const Graph& g_;
  const ir::QuantizationRecord& record_;
  ir::Rewriter out_;
  std::vector<ValueId> int8_;  // per value of the source: its int8 form
  QuantizePlan plan_;
};

}  // namespace

Result<Graph> quantized_graph(const ir::Model& model) {
  if (!model.quantization) return invalid_argument("the model has no quantisation record");
  EW_TRY(const Graph g, quantizable_graph(model));
  return Quantizer(g, *model.quantization).run();
}

}  // namespace ew::compress
