#include "ops/signal/features.h"

#include "ops/signal/words.h"

namespace ew::ops::signal {
namespace {

const FeatureWord* find_word(const std::vector<FeatureWord>& words, std::string_view name) {
  for (const FeatureWord& word : words) {
    if (name == word.name) return &word;
  }
  return nullptr;
}

Result<ValueId> add_step(Builder& b, ValueId x, const Config& step) {
  const std::vector<FeatureWord> words = feature_words();
  const std::string& name = step["class_name"].as_string();
  const FeatureWord* word = find_word(words, name);
  if (word == nullptr) {
    std::string known;
    for (const FeatureWord& w : words) known += str(known.empty() ? "" : ", ", w.name);
    return invalid_argument("unknown feature '", name, "'; known: ", known);
  }
  FeatureStep s(b, x, step["config"]);
  if (!is_floating(b.type(x).dtype)) {
    s.x = b.add(kCast, {x}, {{"to", std::string("float32")}});
  }
  b.set_origin(str("feature:", name));
  const ValueId y = word->build(s);
  b.set_origin("");
  if (!b.ok()) return at(name, b.status().error());
  return y;
}

bool is_input(const Config& chain) {
  return !chain.as_list().empty() && chain.as_list()[0]["class_name"].as_string() == "Input";
}

}  // namespace

double FeatureStep::number(const char* key, double fallback) {
  return take(config_.get_double(key, fallback));
}
int64_t FeatureStep::integer(const char* key, int64_t fallback) {
  return take(config_.get_int(key, fallback));
}
bool FeatureStep::flag(const char* key, bool fallback) {
  return take(config_.get_bool(key, fallback));
}
std::string FeatureStep::text(const char* key, const char* fallback) {
  return take(config_.get_string(key, fallback));
}

std::vector<double> FeatureStep::numbers(const char* key) {
  const Config& value = config_[key];
  std::vector<double> all;
  if (value.is_number()) all.push_back(value.as_double());
  for (const Config& item : value.as_list()) {
    if (!item.is_number())
      b.fail(invalid_argument(key, ": expected numbers, found a ", item.kind_name()));
    all.push_back(item.as_double());
  }
  if (all.empty()) b.fail(invalid_argument(key, ": expected a number or a list of numbers"));
  return all;
}

int64_t FeatureStep::length() {
  const Shape s = shape();
  const int64_t n = s.rank() == 0 ? kUnknown : s[-1];
  if (n > 0 && n <= kMaxLength) return n;
  b.fail(invalid_argument("expected a known length of 1 to ", kMaxLength,
                          " in the last dimension of ", s));
  return 1;
}

ValueId FeatureStep::constant(const std::vector<double>& values, const Shape& to) {
  if (!b.ok()) return kNoValue;
  return b.constant(Tensor::from(values, to).cast(b.type(x).dtype));
}

ValueId FeatureStep::reshape(ValueId v, std::vector<int64_t> to) {
  return b.add(kReshape, {v}, {{"shape", std::move(to)}});
}

std::vector<int64_t> FeatureStep::leading(int drop) const {
  std::vector<int64_t> dims = shape().dims();
  dims.resize(dims.size() - static_cast<size_t>(std::min<int>(drop, shape().rank())));
  // One open dimension, the batch, is inferred; others were refused by length().
  return dims;
}

ValueId FeatureStep::times(const std::vector<double>& matrix, int64_t columns) {
  const int64_t n = length();
  if (!b.ok()) return kNoValue;
  return b.add(kMatmul, {x, constant(matrix, {n, columns})});
}

ValueId FeatureStep::slice(ValueId v, int64_t begin, int64_t end, int64_t stride) {
  const auto rank = static_cast<size_t>(b.shape(v).rank());
  std::vector<int64_t> from(rank, 0);
  std::vector<int64_t> to(rank, kMaxElements);
  std::vector<int64_t> steps(rank, 1);
  from.back() = begin;
  to.back() = end;
  steps.back() = stride;
  return b.add(kSlice, {v}, {{"begin", from}, {"end", to}, {"strides", steps}});
}

ValueId FeatureStep::pad(ValueId v, int64_t before, int64_t behind) {
  const auto rank = static_cast<size_t>(b.shape(v).rank());
  std::vector<int64_t> pads(2 * rank, 0);
  pads[rank - 1] = before;
  pads[2 * rank - 1] = behind;
  return b.add(kPad, {v}, {{"pads", pads}});
}

std::vector<FeatureWord> feature_words() {
  std::vector<FeatureWord> all;
  for (const auto words : {value_words(), spectrum_words(), filter_words(), output_words()}) {
    all.insert(all.end(), words.begin(), words.end());
  }
  return all;
}

Result<ValueId> add_features(Builder& b, ValueId x, const Config& chain) {
  if (!chain.is_list()) return add_step(b, x, chain);
  const Config::List& steps = chain.as_list();
  for (size_t i = is_input(chain) ? 1 : 0; i < steps.size(); ++i) {
    EW_TRY(x, add_step(b, x, steps[i]));
  }
  return x;
}

Result<ir::Graph> feature_graph(const Config& chain, const TensorType& input) {
  ir::Graph graph;
  Builder b(graph);
  const ValueId x = b.input("input", input);
  EW_TRY(const ValueId y, add_features(b, x, chain));
  graph.outputs = {y};
  return graph;
}

}  // namespace ew::ops::signal
