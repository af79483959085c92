// Compiles expressions: one pass of recursive descent that writes steps in postfix order.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "agent/expression_op.h"
#include "agent/settings.h"

namespace ew::agent {

using Op = Expression::Op;

namespace {

struct Scalar {
  const char* name;
  Op op;
};

constexpr Scalar kScalars[] = {{"abs", Op::kAbs},
                               {"sqrt", Op::kSqrt},
                               {"exp", Op::kExp},
                               {"log", Op::kLog},
                               {"log10", Op::kLog10},
                               {"floor", Op::kFloor},
                               {"ceil", Op::kCeil},
                               {"round", Op::kRound},
                               {"sin", Op::kSin},
                               {"cos", Op::kCos},
                               {"min", Op::kMinOf},
                               {"max", Op::kMaxOf},
                               {"pow", Op::kPow},
                               {"clamp", Op::kClamp},
                               {"if", Op::kIf},
                               {"missing", Op::kMissing},
                               {"coalesce", Op::kCoalesce},
                               {"contains", Op::kContains},
                               {"starts_with", Op::kStartsWith}};

constexpr Scalar kWithState[] = {
    {"rate", Op::kRate}, {"delta", Op::kDelta}, {"prev", Op::kPrev}, {"changed", Op::kChanged}};

constexpr Scalar kRolling[] = {{"avg", Op::kRollAvg},       {"min", Op::kRollMin},
                               {"max", Op::kRollMax},       {"sum", Op::kRollSum},
                               {"stddev", Op::kRollStddev}, {"count", Op::kRollCount},
                               {"zscore", Op::kZscore},     {"psi", Op::kPsi}};

struct AggregateName {
  const char* name;
  AggregateKind kind;
};

constexpr AggregateName kAggregates[] = {
    {"count", AggregateKind::kCount},      {"sum", AggregateKind::kSum},
    {"avg", AggregateKind::kAvg},          {"min", AggregateKind::kMin},
    {"max", AggregateKind::kMax},          {"range", AggregateKind::kRange},
    {"first", AggregateKind::kFirst},      {"last", AggregateKind::kLast},
    {"stddev", AggregateKind::kStddev},    {"variance", AggregateKind::kVariance},
    {"rms", AggregateKind::kRms},          {"slope", AggregateKind::kSlope},
    {"median", AggregateKind::kMedian},    {"percentile", AggregateKind::kPercentile},
    {"distinct", AggregateKind::kDistinct}};

constexpr FunctionDef kFunctions[] = {
    {"abs", 1, 1, false, "absolute value"},
    {"sqrt", 1, 1, false, "square root"},
    {"exp", 1, 1, false, "e to the power"},
    {"log", 1, 1, false, "natural logarithm"},
    {"log10", 1, 1, false, "decimal logarithm"},
    {"floor", 1, 1, false, "next integer below"},
    {"ceil", 1, 1, false, "next integer above"},
    {"round", 1, 2, false, "to that many decimals (0)"},
    {"sin", 1, 1, false, "sine of radians"},
    {"cos", 1, 1, false, "cosine of radians"},
    {"pow", 2, 2, false, "first to the power of the second"},
    {"clamp", 3, 3, false, "first kept between second and third"},
    {"if", 3, 3, false, "second where the first is true, else third"},
    {"missing", 1, 1, false, "whether the value is missing or not a number"},
    {"coalesce", 2, 2, false, "first, or second where the first is undefined"},
    {"contains", 2, 2, false, "whether the first text contains the second"},
    {"starts_with", 2, 2, false, "whether the first text starts with the second"},
    {"rate", 1, 1, false, "change a second since the key's record before"},
    {"delta", 1, 1, false, "change since the key's record before"},
    {"prev", 1, 1, false, "value of the key's record before"},
    {"changed", 1, 1, false, "whether it differs from the key's record before"},
    {"ewma", 2, 2, false, "exponential mean; the second is the weight of the newest"},
    {"zscore", 2, 2, false, "deviations from the mean of the last n records or of a duration"},
    {"page_hinkley", 2, 2, false,
     "how far the sum of rises above the mean plus the second argument has climbed: drift upwards"},
    {"adwin", 2, 2, false,
     "whether the mean has changed, found at this record; the second is the chance of an error"},
    {"psi", 2, 2, false, "population stability of the last n records against the first n"},
    {"avg", 1, 2, true, "mean; with a second argument over the last n records or a duration"},
    {"min", 1, 2, true, "least; with two numbers the smaller; over a duration as avg"},
    {"max", 1, 2, true, "greatest; with two numbers the greater; over a duration as avg"},
    {"sum", 1, 2, true, "sum; with a second argument as avg"},
    {"stddev", 1, 2, true, "sample standard deviation; with a second argument as avg"},
    {"count", 0, 2, true, "records, or defined values of the argument; as avg"},
    {"range", 1, 1, true, "greatest minus least"},
    {"first", 1, 1, true, "first value of the window"},
    {"last", 1, 1, true, "last value of the window"},
    {"variance", 1, 1, true, "sample variance"},
    {"rms", 1, 1, true, "root of the mean square"},
    {"slope", 1, 1, true, "least-squares slope a second"},
    {"median", 1, 1, true, "middle value"},
    {"percentile", 2, 2, true, "value below which the second argument's percent lie"},
    {"distinct", 1, 1, true, "number of different values"}};

template <typename Row, size_t n>
const Row* find_row(const Row (&rows)[n], std::string_view name) {
  for (const Row& row : rows) {
    if (name == row.name) return &row;
  }
  return nullptr;
}

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_name_part(char c) { return is_name_start(c) || (c >= '0' && c <= '9') || c == '.'; }

constexpr int kMaxNesting = 40;
constexpr double kMaxRollingRecords = 100'000;

}  // namespace

std::span<const FunctionDef> function_table() { return kFunctions; }

class ExpressionCompiler {
 public:
  ExpressionCompiler(std::string_view text, const ExpressionScope& scope, size_t start = 0)
      : text_(text), at_(start), scope_(scope) {}

  Result<Expression> run() {
    EW_TRY_VOID(disjunction());
    blanks();
    if (at_ != text_.size()) return fail("expected the end", at_);
    expression_.text_ = std::string(text_);
    return std::move(expression_);
  }

 private:
  Error fail(const std::string& message, size_t at) const {
    std::string found = at < text_.size() ? str(", found '", text_.substr(at, 12), "'") : "";
    return invalid_data("'", text_, "', column ", at + 1, ": ", message, found);
  }

  void blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) {
      ++at_;
    }
  }
  bool take(std::string_view symbol) {
    blanks();
    if (text_.substr(at_, symbol.size()) != symbol) return false;
    if (is_name_start(symbol[0]) && at_ + symbol.size() < text_.size() &&
        is_name_part(text_[at_ + symbol.size()])) {
      return false;
    }
    at_ += symbol.size();
    return true;
  }

  Status emit(Op op, int stack_change, uint32_t index = 0, double number = 0) {
    depth_ += stack_change;
    if (expression_.code_.size() >= kMaxSteps || depth_ > static_cast<int>(kMaxStack)) {
      return make_error(ErrorCode::kResourceLimit, "'", text_.substr(0, 40), "...': too long");
    }
    expression_.code_.push_back({op, index, number});
    return {};
  }
  Status emit_text(std::string text) {
    expression_.texts_.push_back(std::move(text));
    return emit(Op::kText, 1, static_cast<uint32_t>(expression_.texts_.size() - 1));
  }

  Status disjunction() {
    if (++nesting_ > kMaxNesting) {
      return make_error(ErrorCode::kResourceLimit, "'", text_.substr(0, 40),
                        "...': nested too deep");
    }
    EW_TRY_VOID(conjunction());
    while (take("or") || take("||")) {
      EW_TRY_VOID(conjunction());
      EW_TRY_VOID(emit(Op::kOr, -1));
    }
    --nesting_;
    return {};
  }

  Status conjunction() {
    EW_TRY_VOID(negation());
    while (take("and") || take("&&")) {
      EW_TRY_VOID(negation());
      EW_TRY_VOID(emit(Op::kAnd, -1));
    }
    return {};
  }

  Status negation() {
    int count = 0;
    while (take("not")) ++count;
    EW_TRY_VOID(comparison());
    for (; count > 0; --count) EW_TRY_VOID(emit(Op::kNot, 0));
    return {};
  }

  Status comparison() {
    EW_TRY_VOID(sum());
    constexpr std::pair<std::string_view, Op> kOps[] = {
        {"<=", Op::kLessEqual}, {">=", Op::kGreaterEqual}, {"==", Op::kEqual},
        {"!=", Op::kNotEqual},  {"<", Op::kLess},          {">", Op::kGreater}};
    for (const auto& [symbol, op] : kOps) {
      if (!take(symbol)) continue;
      EW_TRY_VOID(sum());
      return emit(op, -1);
    }
    blanks();
    if (at_ < text_.size() && text_[at_] == '=') return fail("expected == to compare", at_);
    return {};
  }

  Status sum() {
    EW_TRY_VOID(product());
    while (true) {
      const bool is_plus = take("+");
      if (!is_plus && !take("-")) return {};
      EW_TRY_VOID(product());
      EW_TRY_VOID(emit(is_plus ? Op::kAdd : Op::kSubtract, -1));
    }
  }

  Status product() {
    EW_TRY_VOID(sign());
    while (true) {
      const Op op = take("*")   ? Op::kMultiply
                    : take("/") ? Op::kDivide
                    : take("%") ? Op::kModulo
                                : Op::kNumber;
      if (op == Op::kNumber) return {};
      EW_TRY_VOID(sign());
      EW_TRY_VOID(emit(op, -1));
    }
  }

  Status sign() {
    int count = 0;
    while (take("-")) ++count;
    EW_TRY_VOID(primary());
    if (count % 2 == 1) return emit(Op::kNegate, 0);
    return {};
  }

  Status primary() {
    blanks();
    if (at_ == text_.size()) return fail("expected a value", at_);
    const char c = text_[at_];
    if (c == '(') {
      ++at_;
      EW_TRY_VOID(disjunction());
      if (!take(")")) return fail("expected ')'", at_);
      return {};
    }
    if (c == '\'' || c == '"') {
      EW_TRY(std::string text, quoted(c));
      return emit_text(std::move(text));
    }
    if (c == '`') {
      const size_t start = at_;
      EW_TRY(const std::string name, quoted(c));
      return field(name, start);
    }
    if ((c >= '0' && c <= '9') || c == '.') {
      EW_TRY(const Number number, number_literal());
      return emit(Op::kNumber, 1, 0, number.value);
    }
    if (!is_name_start(c)) return fail("expected a value", at_);
    return name_or_call();
  }

  Result<std::string> quoted(char quote) {
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) return fail(str("expected a closing ", quote), at_);
    std::string inside(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return inside;
  }

  struct Number {
    double value = 0;
    bool is_duration = false;
  };
  Result<Number> number_literal() {
    const size_t start = at_;
    double value = 0;
    const auto [end, error] =
        std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) return fail("expected a number", at_);
    at_ = static_cast<size_t>(end - text_.data());
    if (at_ == text_.size() || !is_name_part(text_[at_])) return Number{value, false};
    size_t stop = at_;
    while (stop < text_.size() && is_name_part(text_[stop])) ++stop;
    const Result<int64_t> us = parse_duration_us(text_.substr(start, stop - start));
    if (!us.ok()) return fail("expected a number or a duration such as 5s", start);
    at_ = stop;
    return Number{static_cast<double>(*us) / 1e6, true};
  }

  Status name_or_call() {
    const size_t start = at_;
    while (at_ < text_.size() && is_name_part(text_[at_])) ++at_;
    const std::string_view name = text_.substr(start, at_ - start);
    blanks();
    if (at_ < text_.size() && text_[at_] == '(') {
      ++at_;
      return call(name, start);
    }
    if (name == "true" || name == "false") return emit(Op::kFlag, 1, 0, name == "true" ? 1 : 0);
    if (name == "key") return emit(Op::kKey, 1);
    if (name == "topic") return emit(Op::kTopic, 1);
    if (name == "time") return emit(Op::kTime, 1);
    return field(name, start);
  }

  Status field(std::string_view name, size_t start) {
    const int slot = scope_.slot_of(name);
    if (slot < 0) {
      const std::string near = nearest_word(name, scope_.names);
      std::string hint = near.empty() ? str("; there are ", join(scope_.names, ", "))
                                      : str("; did you mean ", near, "?");
      return invalid_data("'", text_, "', column ", start + 1, ": no field '", name, "'", hint);
    }
    if (expression_.first_field_.empty()) expression_.first_field_ = std::string(name);
    return emit(Op::kField, 1, static_cast<uint32_t>(slot));
  }

  Status call(std::string_view name, size_t start) {
    const FunctionDef* def = find_row(kFunctions, name);
    if (def == nullptr) {
      std::vector<std::string> names;
      for (const FunctionDef& f : kFunctions) names.emplace_back(f.name);
      const std::string near = nearest_word(name, names);
      return invalid_data("'", text_, "', column ", start + 1, ": no function '", name, "'",
                          near.empty() ? str("; there are ", join(names, ", "))
                                       : str("; did you mean ", near, "?"));
    }
    const AggregateName* aggregate = find_row(kAggregates, name);
    if (aggregate != nullptr && scope_.aggregates != nullptr) {
      const size_t arguments = count_arguments();
      const bool is_scalar = find_row(kScalars, name) != nullptr && arguments == 2;
      if (!is_scalar) return aggregate_call(*aggregate, start);
    }
    // Rolling functions and ewma take a constant last; the others, expressions.
    const size_t arguments = count_arguments();
    if (arguments < static_cast<size_t>(def->min_arguments) ||
        arguments > static_cast<size_t>(def->max_arguments)) {
      return invalid_data("'", text_, "', column ", start + 1, ": ", name, "() takes ",
                          def->min_arguments, " to ", def->max_arguments, " arguments, found ",
                          arguments);
    }
    if (name == "ewma" || name == "page_hinkley" || name == "adwin" ||
        (find_row(kRolling, name) != nullptr && arguments == 2 && !is_pair(name))) {
      return call_with_constant(name, start);
    }
    if (const Scalar* row = find_row(kWithState, name)) {
      EW_TRY_VOID(disjunction());
      EW_TRY_VOID(close());
      EW_TRY(const uint32_t cell, new_cell(start));
      return emit(row->op, 0, cell);
    }
    const Scalar* row = find_row(kScalars, name);
    if (row == nullptr || (is_pair_name(name) && arguments != 2)) {
      return invalid_data("'", text_, "', column ", start + 1, ": ", name,
                          "() over a window stands in `select:` only; with a second argument (last "
                          "n records, or a duration) it may stand here");
    }
    for (size_t i = 0; i < arguments; ++i) {
      if (i > 0 && !take(",")) return fail("expected ','", at_);
      EW_TRY_VOID(disjunction());
    }
    EW_TRY_VOID(close());
    if (row->op == Op::kRound && arguments == 1) {
      EW_TRY_VOID(emit(Op::kNumber, 1));
      return emit(row->op, -1);
    }
    return emit(row->op, 1 - static_cast<int>(arguments));
  }

  static bool is_pair_name(std::string_view name) { return name == "min" || name == "max"; }

  /// min(a, b) and max(a, b) of two values; min(a, 5s) rolls.
  bool is_pair(std::string_view name) const {
    if (!is_pair_name(name)) return false;
    const size_t comma = last_comma();
    ExpressionCompiler probe(text_, scope_, comma + 1);
    probe.blanks();
    const char c = probe.at_ < text_.size() ? text_[probe.at_] : ' ';
    if (c < '0' || c > '9') return true;
    const Result<Number> number = probe.number_literal();
    return !number.ok() || !number->is_duration;
  }

  /// Arguments of the call whose '(' has just been taken.
  size_t count_arguments() const {
    size_t count = 0;
    int depth = 0;
    bool is_empty = true;
    char quote = 0;
    for (size_t i = at_; i < text_.size(); ++i) {
      const char c = text_[i];
      if (quote != 0) {
        if (c == quote) quote = 0;
        continue;
      }
      if (c == '\'' || c == '"' || c == '`') quote = c;
      if (c == ')' && depth == 0) break;
      if (c == '(') ++depth;
      if (c == ')') --depth;
      if (c == ',' && depth == 0) ++count;
      if (c != ' ') is_empty = false;
    }
    return is_empty ? 0 : count + 1;
  }
  size_t last_comma() const {
    size_t comma = at_;
    int depth = 0;
    for (size_t i = at_; i < text_.size(); ++i) {
      if (text_[i] == ')' && depth == 0) break;
      if (text_[i] == '(') ++depth;
      if (text_[i] == ')') --depth;
      if (text_[i] == ',' && depth == 0) comma = i;
    }
    return comma;
  }

  Status close() {
    if (!take(")")) return fail("expected ')'", at_);
    return {};
  }

  Result<uint32_t> new_cell(size_t start) {
    if (scope_.cell_count == nullptr) {
      return invalid_data("'", text_, "', column ", start + 1,
                          ": a function of earlier records cannot stand here");
    }
    return static_cast<uint32_t>((*scope_.cell_count)++);
  }

  Status call_with_constant(std::string_view name, size_t start) {
    EW_TRY_VOID(disjunction());
    if (!take(",")) return fail("expected ','", at_);
    blanks();
    EW_TRY(const Number number, number_literal());
    EW_TRY_VOID(close());
    EW_TRY(const uint32_t cell, new_cell(start));
    if (name == "ewma") {
      if (!(number.value > 0 && number.value <= 1)) {
        return fail("ewma() expects a weight above 0 and at most 1", start);
      }
      return emit(Op::kEwma, 0, cell, number.value);
    }
    if (name == "page_hinkley" || name == "adwin" || name == "psi") {
      expression_.drifts_.push_back(
          {std::string(text_.substr(start, at_ - start)), cell, name == "adwin"});
    }
    if (name == "page_hinkley") return emit(Op::kPageHinkley, 0, cell, number.value);
    if (name == "adwin") {
      if (number.is_duration || !(number.value > 0 && number.value < 1)) {
        return fail("adwin() expects a chance of error above 0 and below 1, such as 0.002", start);
      }
      return emit(Op::kAdwin, 0, cell, number.value);
    }
    if (name == "psi" && (number.is_duration || number.value < 20 || number.value > 10'000)) {
      return fail("psi() expects 20 to 10000 records", start);
    }
    const bool is_whole = number.value == std::floor(number.value) && number.value >= 1 &&
                          number.value <= kMaxRollingRecords;
    if (!(number.is_duration ? number.value > 0 : is_whole)) {
      return fail(str(name, "() expects 1 to 100000 records or a duration"), start);
    }
    return emit(find_row(kRolling, name)->op, 0, cell,
                number.is_duration ? number.value : -number.value);
  }

  Status aggregate_call(const AggregateName& aggregate, size_t start) {
    AggregateCall made;
    made.kind = aggregate.kind;
    blanks();
    if (at_ < text_.size() && text_[at_] == ')' && aggregate.kind == AggregateKind::kCount) {
      ++at_;
    } else {
      const size_t from = at_;
      size_t end = aggregate.kind == AggregateKind::kPercentile ? last_comma() : closing();
      if (end >= text_.size()) return fail("expected ')'", text_.size());
      ExpressionScope inner = scope_;
      inner.aggregates = nullptr;
      Result<Expression> argument = Expression::compile(text_.substr(from, end - from), inner);
      if (!argument.ok()) return argument.error();
      made.argument = std::move(*argument);
      if (expression_.first_field_.empty()) {
        expression_.first_field_ = made.argument.first_field();
      }
      at_ = end;
      if (aggregate.kind == AggregateKind::kPercentile) {
        ++at_;
        blanks();
        EW_TRY(const Number number, number_literal());
        if (number.value < 0 || number.value > 100) {
          return fail("percentile() expects 0 to 100", start);
        }
        made.parameter = number.value;
      }
      EW_TRY_VOID(close());
    }
    scope_.aggregates->push_back(std::move(made));
    return emit(Op::kAggregate, 1, static_cast<uint32_t>(scope_.aggregates->size() - 1));
  }

  size_t closing() const {
    int depth = 0;
    char quote = 0;
    for (size_t i = at_; i < text_.size(); ++i) {
      const char c = text_[i];
      if (quote != 0) {
        if (c == quote) quote = 0;
        continue;
      }
      if (c == '\'' || c == '"' || c == '`') quote = c;
      if (c == '(') ++depth;
      if (c == ')' && depth-- == 0) return i;
    }
    return text_.size();
  }

  std::string_view text_;
  size_t at_;
  const ExpressionScope& scope_;
  Expression expression_;
  int depth_ = 0;
  int nesting_ = 0;
};

bool Expression::reads_fields() const {
  return std::ranges::any_of(code_, [](const Step& step) { return step.op == Op::kField; });
}

Result<Expression> Expression::compile(std::string_view text, const ExpressionScope& scope) {
  if (text.size() > 4096) {
    return make_error(ErrorCode::kResourceLimit, "an expression may have 4096 characters, found ",
                      text.size());
  }
  return ExpressionCompiler(text, scope).run();
}

}  // namespace ew::agent
