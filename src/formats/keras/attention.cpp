#include "formats/keras/attention.h"

namespace ew::formats {

using ir::Builder;

namespace {

ValueId steps(Builder& b, ValueId x) { return b.add(ops::kIota, {x}, {{"axis", int64_t{1}}}); }

}  // namespace

ValueId causal_mask(Builder& b, ValueId query, ValueId value) {
  const ValueId rows = expand_dims(b, steps(b, query), 1);
  return b.add(ops::kGreaterEqual, {rows, steps(b, value)});
}

ValueId window_mask(Builder& b, ValueId query, ValueId value, int64_t window) {
  const ValueId distance = b.add(ops::kSub, {expand_dims(b, steps(b, query), 1), steps(b, value)});
  const auto limit = static_cast<double>(window);
  return both(b, b.add(ops::kLess, {distance, b.scalar(limit, DType::kI32)}),
              b.add(ops::kGreater, {distance, b.scalar(-limit, DType::kI32)}));
}

ValueId attention_dropout(Builder& b, ValueId x, double rate) {
  return rate > 0 ? b.add(ops::kDropout, {x}, {{"rate", rate}}) : x;
}

}  // namespace ew::formats
