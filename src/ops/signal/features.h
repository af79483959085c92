#pragma once
// Chains of feature words, "LogMel(rate=16000, frame=480, hop=320, mels=40)", as graph nodes. The
// same function serves `edgewise convert --prepend`, the agent's `features:` and tests, so that all
// of them run the same operators. The words and their formulas: docs/guide/features.md.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"
#include "ir/graph.h"
#include "ops/ops.h"

namespace ew::ops::signal {

/// Bounds what words ask memory for: chains may come from hostile files.
inline constexpr int64_t kMaxLength = int64_t{1} << 24;

/// One step while it is built: what it works on and what was said about it. The first error sticks
/// to the builder, so that words read as straight lines.
class FeatureStep {
 public:
  FeatureStep(Builder& builder, ValueId value, const Config& config)
      : b(builder), x(value), config_(config) {}

  Builder& b;
  ValueId x;

  double number(const char* key, double fallback);
  int64_t integer(const char* key, int64_t fallback);
  bool flag(const char* key, bool fallback);
  std::string text(const char* key, const char* fallback);
  std::vector<double> numbers(const char* key);
  bool has(const char* key) const { return config_.has(key); }

  Shape shape() const { return b.shape(x); }
  /// The length of the last dimension, at most kMaxLength; an error (and 1) where it is open or
  /// more.
  int64_t length();
  /// Elements of `dtype` as a constant of x's dtype.
  ValueId constant(const std::vector<double>& values, const Shape& shape);
  ValueId scalar(double value) { return b.scalar(value, b.type(x).dtype); }
  ValueId reshape(ValueId v, std::vector<int64_t> to);
  /// x's dimensions before the last `drop`, with the batch left open, for reshape().
  std::vector<int64_t> leading(int drop = 1) const;
  /// x times a constant matrix [length, columns] along the last dimension.
  ValueId times(const std::vector<double>& matrix, int64_t columns);
  /// Elements [begin, end) of the last dimension.
  ValueId slice(ValueId v, int64_t begin, int64_t end, int64_t stride = 1);
  ValueId pad(ValueId v, int64_t before, int64_t behind);
  template <typename T>
  T take(Result<T> result) {
    if (result.ok()) return std::move(*result);
    b.fail(result.error());
    return T{};
  }

 private:
  const Config& config_;
};

struct FeatureWord {
  const char* name;
  const char* parameters;  ///< in order, separated by blanks
  ValueId (*build)(FeatureStep& s);
};

/// Every word, sorted by topic.
std::vector<FeatureWord> feature_words();

/// The chain's nodes behind `x`. `chain` is one step or a list of them, each {"class_name",
/// "config"} as train::parse_features() writes it. Integers become float32 first. Errors:
/// kInvalidArgument with the word, and what it expected and found.
Result<ValueId> add_features(Builder& b, ValueId x, const Config& chain);

/// What a chain that begins with Input(shape=[...], dtype="float32") works on: the shape of one
/// sample, its batch open. Error kInvalidArgument where the chain begins otherwise.
Result<TensorType> feature_input(const Config& chain);

/// A graph of the chain alone: one input, one output. Axis 0 is the batch and may be open.
Result<ir::Graph> feature_graph(const Config& chain, const TensorType& input);

/// The graph with the chain, which begins with Input(...), before its first input; and with a chain
/// behind its first output. Errors: kInvalidArgument where the shapes or dtypes do not meet, with
/// both.
Result<ir::Graph> prepend_features(const ir::Graph& graph, const Config& chain);
Result<ir::Graph> append_features(const ir::Graph& graph, const Config& chain);

}  // namespace ew::ops::signal
