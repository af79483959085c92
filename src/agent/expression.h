#pragma once
// The expression language of app files: `temp > 80 and rate(temp) > 2`.
//
//   numbers 1.5, durations 250ms (in seconds), texts 'a' or "a", true, false, names of fields (also
//   motor.temp, or `odd name` in backticks), key, topic, time (seconds since 1970)
//   or, and, not; < <= > >= == !=; + - * / %; unary -; parentheses; functions (function_table())
//
// Undefined (a missing field, NaN, a text where a number belongs) goes through arithmetic and
// comparisons; `and`, `or` and `not` are three-valued as in SQL. Results are doubles. A program is
// flat: no allocation and no calls through pointers while it runs.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/bytes_io.h"
#include "agent/value.h"
#include "base/result.h"

namespace ew::agent {

/// What a function keeps of earlier records of the same key.
struct Cell {
  bool has = false;
  double value = 0;
  int64_t time_us = 0;
  std::vector<std::pair<int64_t, double>> recent;  ///< of the rolling functions, oldest first

  void save(ByteWriter& out) const;
  bool load(ByteReader& in);
};

/// One aggregate of a window, such as avg(temp).
struct AggregateCall;

struct EvalContext {
  std::span<const Value> values;      ///< the record's fields by slot
  std::span<const Value> aggregates;  ///< of a window that closes
  std::string_view key;
  std::string_view topic;
  int64_t time_us = 0;
  std::span<Cell> cells;  ///< of the record's key
};

/// Where names come from.
struct ExpressionScope {
  /// The slot of a field, or -1 if there is no such field.
  std::function<int(std::string_view name)> slot_of;
  /// For "did you mean"; may be empty.
  std::vector<std::string> names;
  /// Where aggregates may be called: they are appended here.
  std::vector<AggregateCall>* aggregates = nullptr;
  /// Cells used so far by expressions over the same records; counted up.
  size_t* cell_count = nullptr;
};

/// A drift function in an expression: its call as text, and where its state is.
struct DriftUse {
  std::string text;
  uint32_t cell = 0;
  bool is_count = false;  ///< of changes; else the statistic itself
};

class Expression {
 public:
  Expression() = default;
  /// Errors: kInvalidData with the column and, for names, the nearest one; kResourceLimit.
  static Result<Expression> compile(std::string_view text, const ExpressionScope& scope);

  Value evaluate(const EvalContext& context) const;
  bool is_empty() const { return code_.empty(); }
  const std::string& text() const { return text_; }
  /// The one field that the expression is, or the first that it reads; "" if none.
  const std::string& first_field() const { return first_field_; }

  const std::vector<DriftUse>& drifts() const { return drifts_; }

  /// Whether it reads fields of a record itself, outside of aggregates.
  bool reads_fields() const;

  enum class Op : uint8_t;
  struct Step {
    Op op;
    uint32_t index = 0;  ///< slot, text, cell, or jump target
    double number = 0;
  };

 private:
  friend class ExpressionCompiler;
  std::vector<Step> code_;
  std::vector<std::string> texts_;
  std::string text_;
  std::string first_field_;
  std::vector<DriftUse> drifts_;
};

enum class AggregateKind : uint8_t {
  kCount,
  kSum,
  kAvg,
  kMin,
  kMax,
  kRange,
  kFirst,
  kLast,
  kStddev,
  kVariance,
  kRms,
  kSlope,
  kMedian,
  kPercentile,
  kDistinct,
  kList,    ///< the values in order, for models and features; has no value of its own
  kSignal,  ///< the same, each behind its time in microseconds since 1970
};

struct AggregateCall {
  AggregateKind kind = AggregateKind::kCount;
  Expression argument;   ///< empty for count()
  double parameter = 0;  ///< of percentile
};

/// A function of the language, for messages and the guide.
struct FunctionDef {
  const char* name;
  int min_arguments;
  int max_arguments;
  bool is_aggregate;
  const char* help;
};
std::span<const FunctionDef> function_table();

/// Adds to `recent`, drops what is older than `span_us` (or beyond `span_us` = -n entries), and
/// gives the statistic over the rest.
enum class Rolling : uint8_t { kAvg, kMin, kMax, kSum, kStddev, kCount };
double roll(Cell& cell, Rolling what, double value, int64_t time_us, double span, bool is_duration);

}  // namespace ew::agent
