#pragma once
// The steps of a compiled expression.

#include "agent/expression.h"

namespace ew::agent {

enum class Expression::Op : uint8_t {
  kNumber,
  kFlag,
  kText,
  kField,
  kAggregate,
  kKey,
  kTopic,
  kTime,
  kAnd,
  kOr,
  kNot,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kEqual,
  kNotEqual,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kModulo,
  kNegate,
  kAbs,
  kSqrt,
  kExp,
  kLog,
  kLog10,
  kFloor,
  kCeil,
  kRound,
  kSin,
  kCos,
  kMinOf,
  kMaxOf,
  kPow,
  kClamp,
  kIf,
  kMissing,
  kCoalesce,
  kContains,
  kStartsWith,
  kRate,
  kDelta,
  kPrev,
  kChanged,
  kEwma,
  kRollAvg,
  kRollMin,
  kRollMax,
  kRollSum,
  kRollStddev,
  kRollCount,
  kZscore,
  kPageHinkley,
  kPsi,
  kAdwin,
};

constexpr size_t kMaxSteps = 512;
constexpr size_t kMaxStack = 64;

}  // namespace ew::agent
