// Keras MultiHeadAttention and GroupedQueryAttention.
//
// B batch, T query steps, S value steps, H heads, G groups of heads that share keys and values (H /
// G key heads), K key size, V value size.
#include <cmath>

#include "formats/keras/attention.h"

namespace ew::ops {
namespace {

using formats::KerasTensor;
using formats::LayerContext;

struct Sizes {
  int64_t heads, key_heads, key_dim, value_dim;
  double dropout;
  bool use_bias;
  std::string prefix;  // of the projections' attributes in Keras
};

Result<Sizes> read_sizes(const LayerContext& c) {
  const bool is_grouped = c.class_name.starts_with("Group");
  Sizes s{};
  if (is_grouped) s.prefix = "_";
  EW_TRY(s.heads, c.config.get_int(is_grouped ? "num_query_heads" : "num_heads", 0));
  EW_TRY(s.key_heads, c.config.get_int("num_key_value_heads", s.heads));
  EW_TRY(s.key_dim, c.config.get_int(is_grouped ? "head_dim" : "key_dim", 0));
  EW_TRY(s.value_dim, c.config.get_int("value_dim", s.key_dim));
  EW_TRY(s.dropout, c.config.get_double("dropout", 0));
  EW_TRY(s.use_bias, c.config.get_bool("use_bias", true));
  constexpr int64_t kMost = 1 << 20;
  for (const int64_t n : {s.heads, s.key_heads, s.key_dim, s.value_dim}) {
    if (n < 1 || n > kMost) return invalid_data("a size of the attention heads is ", n);
  }
  if (s.heads % s.key_heads != 0) {
    return invalid_data(s.heads, " query heads cannot share ", s.key_heads, " key heads");
  }
  return s;
}

// x [B, T, D] through a kernel [D, heads, size]: [B, T, heads, size].
ValueId project(LayerContext& c, ValueId x, const std::string& sublayer, int64_t heads,
                int64_t size, bool use_bias) {
  Builder& b = c.b;
  if (!b.ok()) return kNoValue;
  const int64_t features = b.shape(x)[2];
  const ValueId kernel = c.weight("kernel", {features, heads, size},
                                  {.sublayer = sublayer, .config_prefix = "kernel"});
  const ValueId matrix =
      b.add(kReshape, {kernel}, {{"shape", std::vector<int64_t>{features, heads * size}}});
  ValueId bias = kNoValue;
  if (use_bias) {
    bias = c.weight("bias", {heads, size}, {.sublayer = sublayer, .config_prefix = "bias"});
    bias = b.add(kReshape, {bias}, {{"shape", std::vector<int64_t>{heads * size}}});
  }
  const ValueId y = b.add(kDense, {x, matrix, bias});
  return b.add(kReshape, {y}, {{"shape", std::vector<int64_t>{0, 0, heads, size}}});
}

// [B, T, H V] to the output's features.
ValueId project_out(LayerContext& c, ValueId x, const Sizes& s, const Shape& features) {
  Builder& b = c.b;
  if (!b.ok()) return kNoValue;
  Shape shape{s.heads, s.value_dim};
  int64_t width = 1;
  for (const int64_t size : features) {
    shape.dims().push_back(size);
    width *= size;
  }
  const ValueId kernel =
      c.weight("kernel", shape, {.sublayer = s.prefix + "output_dense", .config_prefix = "kernel"});
  const ValueId matrix =
      b.add(kReshape, {kernel}, {{"shape", std::vector<int64_t>{s.heads * s.value_dim, width}}});
  ValueId bias = kNoValue;
  if (s.use_bias) {
    bias = c.weight("bias", features,
                    {.sublayer = s.prefix + "output_dense", .config_prefix = "bias"});
    bias = b.add(kReshape, {bias}, {{"shape", std::vector<int64_t>{width}}});
  }
  const ValueId y = b.add(kDense, {x, matrix, bias});
  if (features.rank() == 1) return y;
  std::vector<int64_t> to = {0, 0};
  to.insert(to.end(), features.begin(), features.end());
  return b.add(kReshape, {y}, {{"shape", to}});
}

/// The tensors of one call, whichever way they were passed.
struct Arguments {
  KerasTensor query, value, key;
  ValueId key_mask = kNoValue;
};

Result<Arguments> read_arguments(const LayerContext& c) {
  const auto argument = [&](size_t i, const char* name) {
    const KerasTensor named = formats::keyword_tensor(c, name);
    if (named.value != kNoValue || i >= c.inputs.size()) return named;
    return c.inputs[i];
  };
  Arguments a{argument(0, "query"), argument(1, "value"), argument(2, "key")};
  if (a.query.value == kNoValue || a.value.value == kNoValue) {
    return invalid_data("expected a query and a value");
  }
  a.key_mask = a.key.mask;
  if (a.key.value == kNoValue) a.key = a.value;
  const auto explicit_mask = [&](const char* name, ValueId& mask) {
    const ValueId given = formats::keyword_tensor(c, name).value;
    if (given != kNoValue) mask = formats::cast(c.b, given, DType::kBool);
  };
  explicit_mask("query_mask", a.query.mask);
  explicit_mask("value_mask", a.value.mask);
  explicit_mask("key_mask", a.key_mask);
  for (const ValueId x : {a.query.value, a.value.value, a.key.value}) {
    const Shape& shape = c.b.shape(x);
    if (shape.rank() != 3 || shape[2] == kUnknown) {
      return unsupported("expected query, value and key [batch, steps, features], found ", shape);
    }
  }
  return a;
}

// bool, broadcasting to [B, T, S] or [B, H, T, S]; none if everything may be seen.
ValueId attention_mask(LayerContext& c, const Arguments& a) {
  Builder& b = c.b;
  ValueId mask = formats::keyword_tensor(c, "attention_mask").value;
  mask = formats::cast(b, mask, DType::kBool);
  ValueId steps = kNoValue;
  if (a.query.mask != kNoValue) steps = formats::expand_dims(b, a.query.mask, 2);
  for (const ValueId m : {a.value.mask, a.key_mask}) {
    if (m != kNoValue) steps = formats::both(b, steps, formats::expand_dims(b, m, 1));
  }
  if (c.call["use_causal_mask"].as_bool()) {
    steps = formats::both(b, steps, formats::causal_mask(b, a.query.value, a.value.value));
  }
  const int64_t window = c.config["sliding_window"].as_int(0);
  if (window > 0) {
    steps = formats::both(b, steps, formats::window_mask(b, a.query.value, a.value.value, window));
  }
  if (steps != kNoValue && mask != kNoValue && b.ok() && b.shape(mask).rank() == 4) {
    while (b.ok() && b.shape(steps).rank() < 3) steps = formats::expand_dims(b, steps, 0);
    steps = formats::expand_dims(b, steps, 1);
  }
  return formats::both(b, mask, steps);
}

struct Attended {
  ValueId context;  // [B, T, H V]
  ValueId weights;  // [B, H, T, S]
};

Attended attend(LayerContext& c, const Sizes& s, ValueId query, ValueId key, ValueId value,
                ValueId mask) {
  Builder& b = c.b;
  const int64_t groups = s.heads / s.key_heads;
  if (!b.ok()) return {};
  const DType dtype = b.type(query).dtype;
  const double scale = 1 / std::sqrt(static_cast<double>(s.key_dim));
  query = b.add(kMul, {query, b.scalar(scale, dtype)});
  key = formats::transpose(b, key, {0, 2, 1, 3});
  value = formats::transpose(b, value, {0, 2, 1, 3});
  if (groups == 1) {
    query = formats::transpose(b, query, {0, 2, 1, 3});
  } else {
    const std::vector<int64_t> split = {0, 0, s.key_heads, groups, s.key_dim};
    query = formats::transpose(b, b.add(kReshape, {query}, {{"shape", split}}), {0, 2, 3, 1, 4});
    key = formats::expand_dims(b, key, 2);
    value = formats::expand_dims(b, value, 2);
  }
  ValueId scores = b.add(kMatmul, {query, key}, {{"transpose_b", true}});
  if (!b.ok()) return {};
  const int rank = b.shape(scores).rank();
  if (mask != kNoValue) {
    if (groups > 1 && b.shape(mask).rank() == 4) {
      b.fail(unsupported("an attention mask for each head of grouped heads"));
    }
    while (b.ok() && b.shape(mask).rank() > 2 && b.shape(mask).rank() < rank) {
      mask = formats::expand_dims(b, mask, -3);
    }
    scores = b.add(kWhere, {mask, scores, b.scalar(dtype == DType::kF16 ? -3e4 : -1e9, dtype)});
  }
  ValueId weights = b.add(kSoftmax, {scores}, {{"axis", int64_t{-1}}});
  const bool wants_scores = c.call["return_attention_scores"].as_bool();
  // Keras 3 clears the weights of a query that sees nothing, but not in its fused path.
  if (mask != kNoValue && c.generation == ir::KerasGeneration::kKeras3 &&
      (s.dropout > 0 || wants_scores)) {
    weights = b.add(kWhere, {mask, weights, b.scalar(0, dtype)});
  }
  const ValueId kept = formats::attention_dropout(b, weights, s.dropout);
  ValueId context = b.add(kMatmul, {kept, value});
  context = groups == 1 ? formats::transpose(b, context, {0, 2, 1, 3})
                        : formats::transpose(b, context, {0, 3, 1, 2, 4});
  const std::vector<int64_t> joined = {0, 0, s.heads * s.value_dim};
  return {b.add(kReshape, {context}, {{"shape", joined}}), weights};
}

std::vector<KerasTensor> multi_head_attention(LayerContext& c) {
  const Result<Sizes> sizes = read_sizes(c);
  if (!sizes.ok()) return c.fail(sizes.error());
  const Result<Arguments> arguments = read_arguments(c);
  if (!arguments.ok()) return c.fail(arguments.error());
  const Sizes& s = *sizes;
  const Arguments& a = *arguments;
  const Config& axes = c.config["attention_axes"];
  if (!axes.is_null() && axes != Config::ints({1}) && axes.as_int(0) != 1) {
    return c.fail(unsupported("attention_axes other than 1"));
  }
  Builder& b = c.b;
  const int64_t features = b.shape(a.query.value)[2];
  const Result<std::vector<int64_t>> out = c.config.get_ints("output_shape", {features});
  if (!out.ok()) return c.fail(out.error());
  if (const Status status = check_shape(Shape(*out)); !status.ok()) return c.fail(status.error());

  const ValueId query =
      project(c, a.query.value, s.prefix + "query_dense", s.heads, s.key_dim, s.use_bias);
  const ValueId key =
      project(c, a.key.value, s.prefix + "key_dense", s.key_heads, s.key_dim, s.use_bias);
  ValueId gate = kNoValue;
  if (c.config["use_gate"].as_bool()) {
    gate = project(c, a.query.value, "_gate_dense", s.heads, s.value_dim, s.use_bias);
    const std::vector<int64_t> joined = {0, 0, s.heads * s.value_dim};
    gate = b.add(kSigmoid, {b.add(kReshape, {gate}, {{"shape", joined}})});
  }
  const ValueId value =
      project(c, a.value.value, s.prefix + "value_dense", s.key_heads, s.value_dim, s.use_bias);
  const Attended attended = attend(c, s, query, key, value, attention_mask(c, a));
  const ValueId context =
      gate == kNoValue ? attended.context : b.add(kMul, {attended.context, gate});
  std::vector<KerasTensor> y = {{project_out(c, context, s, Shape(*out)), a.query.mask}};
  if (c.call["return_attention_scores"].as_bool()) y.push_back({attended.weights, kNoValue});
  return y;
}

const formats::KerasLayer kLayers[] = {{"MultiHeadAttention", multi_head_attention},
                                       {"GroupQueryAttention", multi_head_attention},
                                       {"GroupedQueryAttention", multi_head_attention}};

}  // namespace

extern const formats::OpIo multi_head_attention_io{.keras_layers = kLayers};

}  // namespace ew::ops
