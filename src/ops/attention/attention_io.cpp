// Keras Attention and AdditiveAttention on [query, value] or [query, value, key].
#include "formats/keras/attention.h"

namespace ew::ops {
namespace {

using formats::KerasTensor;
using formats::LayerContext;

// sum over features of tanh(scale (q + k)) for every pair of steps, [B, T, S].
ValueId pair_scores(Builder& b, ValueId query, ValueId key, ValueId inner, ValueId outer) {
  ValueId sum = b.add(kAdd, {formats::expand_dims(b, query, 2), formats::expand_dims(b, key, 1)});
  if (inner != kNoValue) sum = b.add(kMul, {sum, inner});
  ValueId score = b.add(kTanh, {sum});
  if (outer != kNoValue) score = b.add(kMul, {score, outer});
  return b.add(kReduceSum, {score}, {{"axes", std::vector<int64_t>{-1}}});
}

ValueId scores(LayerContext& c, ValueId query, ValueId key) {
  Builder& b = c.b;
  const bool is_additive = c.class_name == "AdditiveAttention";
  const bool use_scale = c.config["use_scale"].as_bool(is_additive);
  if (is_additive) {
    const ValueId scale = use_scale ? c.weight("scale", {b.shape(query)[-1]}) : kNoValue;
    return pair_scores(b, query, key, kNoValue, scale);
  }
  const ValueId scale = use_scale ? c.weight("scale", {}, {.initial_value = 1}) : kNoValue;
  const Config& mode = c.config["score_mode"];
  if (mode.is_null() || mode.as_string() == "dot") {
    const ValueId dot = b.add(kMatmul, {query, key}, {{"transpose_b", true}});
    return use_scale ? b.add(kMul, {dot, scale}) : dot;
  }
  if (mode.as_string() != "concat") {
    return b.fail(invalid_data("unknown score_mode '", mode.as_string(), "'"));
  }
  const ValueId weight = c.weight("concat_score_weight", {}, {.initial_value = 1});
  return b.add(kMul, {pair_scores(b, query, key, scale, kNoValue), weight});
}

std::vector<KerasTensor> attention(LayerContext& c) {
  Builder& b = c.b;
  if (c.inputs.size() < 2 || c.inputs.size() > 3) {
    return c.fail(invalid_data("expected [query, value] or [query, value, key], found ",
                               c.inputs.size(), " inputs"));
  }
  for (const KerasTensor& x : c.inputs) {
    const Shape& shape = b.shape(x.value);
    if (shape.rank() != 3 || shape[2] == kUnknown) {
      return c.fail(invalid_data("expected [batch, steps, features], found ", shape));
    }
  }
  const Result<double> rate = c.config.get_double("dropout", 0);
  if (!rate.ok()) return c.fail(rate.error());
  const ValueId query = c.inputs[0].value;
  const ValueId query_mask = c.inputs[0].mask;
  const ValueId value = c.inputs[1].value;
  const ValueId value_mask = c.inputs[1].mask;
  const ValueId key = c.inputs.back().value;
  ValueId score = scores(c, query, key);
  ValueId mask = value_mask == kNoValue ? kNoValue : formats::expand_dims(b, value_mask, 1);
  if (c.call["use_causal_mask"].as_bool() || c.config["causal"].as_bool()) {
    mask = formats::both(b, mask, formats::causal_mask(b, query, value));
  }
  if (!b.ok()) return {};
  const DType dtype = b.type(score).dtype;
  if (mask != kNoValue) {
    const ValueId far = b.scalar(dtype == DType::kF16 ? 65504 : 1e9, dtype);
    score = b.add(kWhere, {mask, score, b.add(kSub, {score, far})});
  }
  const ValueId weights = b.add(kSoftmax, {score}, {{"axis", int64_t{-1}}});
  ValueId y = b.add(kMatmul, {formats::attention_dropout(b, weights, *rate), value});
  if (query_mask != kNoValue) {
    y = b.add(kWhere, {formats::expand_dims(b, query_mask, 2), y, b.scalar(0, dtype)});
  }
  std::vector<KerasTensor> out = {{y, query_mask}};
  if (c.call["return_attention_scores"].as_bool()) out.push_back({weights, kNoValue});
  return out;
}

const formats::KerasLayer kLayers[] = {{"Attention", attention}, {"AdditiveAttention", attention}};

}  // namespace

extern const formats::OpIo attention_io{.keras_layers = kLayers};

}  // namespace ew::ops
