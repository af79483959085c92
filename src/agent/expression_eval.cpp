// Runs compiled expressions.
#include <algorithm>
#include <cmath>
#include <limits>

#include "agent/drift.h"
#include "agent/expression_op.h"

namespace ew::agent {

void Cell::save(ByteWriter& out) const {
  out.put(static_cast<uint8_t>(has));
  out.put(value);
  out.put(time_us);
  out.put(static_cast<uint32_t>(recent.size()));
  for (const auto& [time, number] : recent) {
    out.put(time);
    out.put(number);
  }
}

bool Cell::load(ByteReader& in) {
  has = in.get_flag();
  value = in.get<double>();
  time_us = in.get<int64_t>();
  recent.resize(in.get_count(16));
  for (auto& [time, number] : recent) {
    time = in.get<int64_t>();
    number = in.get<double>();
  }
  return in.ok();
}

namespace {

using Op = Expression::Op;

constexpr size_t kMaxRecent = 100'000;

/// Values that come to life when they are written: clearing 64 of them would cost more than most
/// expressions.
struct Stack {
  Stack() {}  // NOLINT: nothing is set on purpose
  Value& operator[](size_t index) { return values[index]; }
  const Value& operator[](size_t index) const { return values[index]; }
  union {
    Value values[kMaxStack];
  };
};

double nan_value() { return std::numeric_limits<double>::quiet_NaN(); }

/// -1 undefined, 0 false, 1 true.
int truth(const Value& value) {
  if (value.is_undefined() || value.is_text()) return -1;
  return value.number != 0 ? 1 : 0;
}

Value from_truth(int value) { return value < 0 ? Value::undefined() : Value::of_flag(value == 1); }

Value compare(Op op, const Value& a, const Value& b) {
  if (a.is_undefined() || b.is_undefined()) return Value::undefined();
  if (a.is_text() != b.is_text()) {
    // A text is never a number: they differ, and have no order.
    if (op == Op::kEqual) return Value::of_flag(false);
    if (op == Op::kNotEqual) return Value::of_flag(true);
    return Value::undefined();
  }
  int order = 0;
  if (a.is_text()) {
    order = a.text.compare(b.text);
  } else if (a.number != b.number) {
    order = a.number < b.number ? -1 : 1;
  }
  switch (op) {
    case Op::kLess:
      return Value::of_flag(order < 0);
    case Op::kLessEqual:
      return Value::of_flag(order <= 0);
    case Op::kGreater:
      return Value::of_flag(order > 0);
    case Op::kGreaterEqual:
      return Value::of_flag(order >= 0);
    case Op::kEqual:
      return Value::of_flag(order == 0);
    default:
      return Value::of_flag(order != 0);
  }
}

double arithmetic(Op op, double a, double b) {
  switch (op) {
    case Op::kAdd:
      return a + b;
    case Op::kSubtract:
      return a - b;
    case Op::kMultiply:
      return a * b;
    case Op::kDivide:
      return b == 0 ? nan_value() : a / b;
    case Op::kModulo:
      return b == 0 ? nan_value() : std::fmod(a, b);
    case Op::kMinOf:
      return std::isnan(a) || std::isnan(b) ? nan_value() : std::min(a, b);
    case Op::kMaxOf:
      return std::isnan(a) || std::isnan(b) ? nan_value() : std::max(a, b);
    default:
      return std::pow(a, b);
  }
}

double unary(Op op, double a) {
  switch (op) {
    case Op::kNegate:
      return -a;
    case Op::kAbs:
      return std::abs(a);
    case Op::kSqrt:
      return a < 0 ? nan_value() : std::sqrt(a);
    case Op::kExp:
      return std::exp(a);
    case Op::kLog:
      return a <= 0 ? nan_value() : std::log(a);
    case Op::kLog10:
      return a <= 0 ? nan_value() : std::log10(a);
    case Op::kFloor:
      return std::floor(a);
    case Op::kCeil:
      return std::ceil(a);
    case Op::kSin:
      return std::sin(a);
    default:
      return std::cos(a);
  }
}

/// Functions of this record and the one before it with the same key. Undefined values leave what is
/// kept as it is.
Value with_previous(Op op, Cell& cell, const Value& now, double parameter, int64_t time_us) {
  const double x = now.as_number();
  if (std::isnan(x)) return Value::undefined();
  Value result;
  switch (op) {
    case Op::kRate: {
      const double seconds = static_cast<double>(time_us - cell.time_us) / 1e6;
      if (cell.has && seconds > 0) result = Value::of((x - cell.value) / seconds);
      if (cell.has && seconds <= 0) return result;  // same or earlier time: no rate, keep the older
      break;
    }
    case Op::kDelta:
      if (cell.has) result = Value::of(x - cell.value);
      break;
    case Op::kPrev:
      if (cell.has) result = Value::of(cell.value);
      break;
    case Op::kChanged:
      result = Value::of_flag(!cell.has || x != cell.value);
      break;
    default: {
      const double mean = cell.has ? cell.value + parameter * (x - cell.value) : x;
      cell = {true, mean, time_us, {}};
      return Value::of(mean);
    }
  }
  cell.has = true;
  cell.value = x;
  cell.time_us = time_us;
  return result;
}

double statistic(std::span<const std::pair<int64_t, double>> recent, Rolling what) {
  const auto n = static_cast<double>(recent.size());
  if (what == Rolling::kCount) return n;
  if (recent.empty()) return nan_value();
  double sum = 0;
  double low = recent[0].second;
  double high = low;
  for (const auto& [time, x] : recent) {
    sum += x;
    low = std::min(low, x);
    high = std::max(high, x);
  }
  switch (what) {
    case Rolling::kMin:
      return low;
    case Rolling::kMax:
      return high;
    case Rolling::kSum:
      return sum;
    case Rolling::kAvg:
      return sum / n;
    default:
      break;
  }
  if (recent.size() < 2) return nan_value();
  double squares = 0;
  for (const auto& [time, x] : recent) squares += (x - sum / n) * (x - sum / n);
  return std::sqrt(squares / (n - 1));
}

}  // namespace

double roll(Cell& cell, Rolling what, double value, int64_t time_us, double span,
            bool is_duration) {
  auto& recent = cell.recent;
  if (!std::isnan(value)) recent.emplace_back(time_us, value);
  size_t drop = 0;
  if (is_duration) {
    const auto oldest = time_us - static_cast<int64_t>(span * 1e6);
    while (drop < recent.size() && recent[drop].first <= oldest) ++drop;
  } else if (recent.size() > static_cast<size_t>(span)) {
    drop = recent.size() - static_cast<size_t>(span);
  }
  if (recent.size() - drop > kMaxRecent) drop = recent.size() - kMaxRecent;
  recent.erase(recent.begin(), recent.begin() + static_cast<std::ptrdiff_t>(drop));
  return statistic(recent, what);
}

Value Expression::evaluate(const EvalContext& c) const {
  Stack stack;
  size_t top = 0;  // one behind the last
  const auto number_at = [&](size_t back) { return stack[top - back].as_number(); };
  for (const Step& step : code_) {
    switch (step.op) {
      case Op::kNumber:
        stack[top++] = Value::of(step.number);
        break;
      case Op::kFlag:
        stack[top++] = Value::of_flag(step.number != 0);
        break;
      case Op::kText:
        stack[top++] = Value::of_text(texts_[step.index]);
        break;
      case Op::kField:
        stack[top++] = c.values[step.index];
        break;
      case Op::kAggregate:
        stack[top++] = c.aggregates[step.index];
        break;
      case Op::kKey:
        stack[top++] = Value::of_text(c.key);
        break;
      case Op::kTopic:
        stack[top++] = Value::of_text(c.topic);
        break;
      case Op::kTime:
        stack[top++] = Value::of(static_cast<double>(c.time_us) / 1e6);
        break;
      case Op::kAnd:
      case Op::kOr: {
        const int a = truth(stack[top - 2]);
        const int b = truth(stack[top - 1]);
        const int decides = step.op == Op::kAnd ? 0 : 1;
        const int result = a == decides || b == decides ? decides : (a < 0 || b < 0) ? -1 : a;
        stack[--top - 1] = from_truth(result);
        break;
      }
      case Op::kNot: {
        const int a = truth(stack[top - 1]);
        stack[top - 1] = from_truth(a < 0 ? -1 : 1 - a);
        break;
      }
      case Op::kLess:
      case Op::kLessEqual:
      case Op::kGreater:
      case Op::kGreaterEqual:
      case Op::kEqual:
      case Op::kNotEqual:
        stack[top - 2] = compare(step.op, stack[top - 2], stack[top - 1]);
        --top;
        break;
      case Op::kAdd:
      case Op::kSubtract:
      case Op::kMultiply:
      case Op::kDivide:
      case Op::kModulo:
      case Op::kMinOf:
      case Op::kMaxOf:
      case Op::kPow:
        stack[top - 2] = Value::of(arithmetic(step.op, number_at(2), number_at(1)));
        --top;
        break;
      case Op::kNegate:
      case Op::kAbs:
      case Op::kSqrt:
      case Op::kExp:
      case Op::kLog:
      case Op::kLog10:
      case Op::kFloor:
      case Op::kCeil:
      case Op::kSin:
      case Op::kCos:
        stack[top - 1] = Value::of(unary(step.op, number_at(1)));
        break;
      case Op::kRound: {
        const double scale = std::pow(10.0, number_at(1));
        stack[top - 2] = Value::of(std::round(number_at(2) * scale) / scale);
        --top;
        break;
      }
      case Op::kClamp: {
        const double x = number_at(3);
        const double low = number_at(2);
        const double high = number_at(1);
        stack[top - 3] = Value::of(x < low ? low : x > high ? high : x);
        top -= 2;
        break;
      }
      case Op::kIf: {
        const int condition = truth(stack[top - 3]);
        stack[top - 3] = condition < 0    ? Value::undefined()
                         : condition == 1 ? stack[top - 2]
                                          : stack[top - 1];
        top -= 2;
        break;
      }
      case Op::kMissing:
        stack[top - 1] = Value::of_flag(stack[top - 1].is_undefined());
        break;
      case Op::kCoalesce:
        if (stack[top - 2].is_undefined()) stack[top - 2] = stack[top - 1];
        --top;
        break;
      case Op::kContains:
      case Op::kStartsWith: {
        const Value& a = stack[top - 2];
        const Value& b = stack[top - 1];
        Value result;
        if (a.is_text() && b.is_text()) {
          const size_t found = a.text.find(b.text);
          result = Value::of_flag(step.op == Op::kContains ? found != std::string_view::npos
                                                           : found == 0);
        }
        stack[--top - 1] = result;
        break;
      }
      case Op::kRate:
      case Op::kDelta:
      case Op::kPrev:
      case Op::kChanged:
      case Op::kEwma:
        stack[top - 1] =
            with_previous(step.op, c.cells[step.index], stack[top - 1], step.number, c.time_us);
        break;
      case Op::kRollAvg:
      case Op::kRollMin:
      case Op::kRollMax:
      case Op::kRollSum:
      case Op::kRollStddev:
      case Op::kRollCount: {
        constexpr Rolling kWhat[] = {Rolling::kAvg, Rolling::kMin,    Rolling::kMax,
                                     Rolling::kSum, Rolling::kStddev, Rolling::kCount};
        const size_t what = static_cast<size_t>(step.op) - static_cast<size_t>(Op::kRollAvg);
        // A negative span counts records, a positive one is in seconds.
        stack[top - 1] = Value::of(roll(c.cells[step.index], kWhat[what], number_at(1), c.time_us,
                                        std::abs(step.number), step.number > 0));
        break;
      }
      case Op::kPageHinkley:
        stack[top - 1] = Value::of(page_hinkley(c.cells[step.index], number_at(1), step.number));
        break;
      case Op::kPsi:
        stack[top - 1] = Value::of(population_stability(
            c.cells[step.index], number_at(1), c.time_us, static_cast<size_t>(-step.number)));
        break;
      case Op::kAdwin:
        stack[top - 1] = adwin(c.cells[step.index], number_at(1), step.number);
        break;
      case Op::kZscore: {
        Cell& cell = c.cells[step.index];
        const double x = number_at(1);
        // Against the records before this one, so that an outlier does not hide itself.
        const double mean = statistic(cell.recent, Rolling::kAvg);
        const double deviation = statistic(cell.recent, Rolling::kStddev);
        roll(cell, Rolling::kCount, x, c.time_us, std::abs(step.number), step.number > 0);
        stack[top - 1] = Value::of(deviation > 0 ? (x - mean) / deviation : nan_value());
        break;
      }
    }
  }
  return top == 0 ? Value::undefined() : stack[top - 1];
}

}  // namespace ew::agent
