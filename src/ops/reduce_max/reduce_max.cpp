/// reduce_max: the maximum over some dimensions.
///
///   inputs   x: floating or int8
///   attrs    axes: dimensions to reduce, empty for all; keepdims: keep them as 1
///   quant    as the input
///   errors   kInvalidArgument if an axis is out of range
#include <algorithm>
#include <limits>

#include "ops/reduce.h"

namespace ew::ops {
namespace {

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape kept = keepdims_shape(in[0].shape(), attrs);
  const BroadcastIndex index(kept, in[0].shape());
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* x = in[0].as<T>();
    T* y = out[0].as<T>();
    const int64_t n = in[0].size();
    const int64_t m = out[0].size();
    std::vector<double> total(static_cast<size_t>(m), -std::numeric_limits<double>::infinity());
    for (int64_t i = 0; i < n; ++i) {
      double& t = total[static_cast<size_t>(index(i))];
      t = std::max(t, static_cast<double>(x[i]));
    }
    [[maybe_unused]] const double count = m > 0 ? static_cast<double>(n / m) : 1;
    for (int64_t i = 0; i < m; ++i) y[i] = static_cast<T>(total[static_cast<size_t>(i)]);
  });
}

template <typename T>
void largest_stored(ConstViews in, Views out, const Attrs& attrs) {
  const BroadcastIndex index(keepdims_shape(in[0].shape(), attrs), in[0].shape());
  const auto* x = in[0].as<T>();
  auto* y = out[0].as<T>();
  std::fill_n(y, out[0].size(), std::numeric_limits<T>::min());
  for (int64_t i = 0; i < in[0].size(); ++i) y[index(i)] = std::max(y[index(i)], x[i]);
}

void reference_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  if (in[0].dtype() == DType::kI16) return largest_stored<int16_t>(in, out, attrs);
  largest_stored<int8_t>(in, out, attrs);
}

}  // namespace

const OpDef kReduceMax{.name = "reduce_max",
                       .attrs = kReduceAttrs,
                       .infer = infer_reduce,
                       .reference = reference,
                       .reference_i8 = reference_i8,
                       .quant = QuantRule::same_as_input()};

}  // namespace ew::ops
