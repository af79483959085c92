/// reduce_sum: the sum over some dimensions, accumulated in double.
///
///   inputs   x: floating or int8
///   attrs    axes: dimensions to reduce, empty for all; keepdims: keep them as 1
///   quant    integer reference in reduce_sum_i8.cpp; quantisation leaves it in float
///   errors   kInvalidArgument if an axis is out of range
#include <algorithm>
#include <limits>

#include "ops/reduce.h"

namespace ew::ops {

void reduce_sum_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile);

namespace {

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape kept = keepdims_shape(in[0].shape(), attrs);
  const BroadcastIndex index(kept, in[0].shape());
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* x = in[0].as<T>();
    T* y = out[0].as<T>();
    const int64_t n = in[0].size();
    const int64_t m = out[0].size();
    std::vector<double> total(static_cast<size_t>(m), 0.0);
    for (int64_t i = 0; i < n; ++i) {
      double& t = total[static_cast<size_t>(index(i))];
      t = t + static_cast<double>(x[i]);
    }
    [[maybe_unused]] const double count = m > 0 ? static_cast<double>(n / m) : 1;
    for (int64_t i = 0; i < m; ++i) y[i] = static_cast<T>(total[static_cast<size_t>(i)]);
  });
}

}  // namespace

const OpDef kReduceSum{.name = "reduce_sum",
                       .attrs = kReduceAttrs,
                       .infer = infer_reduce,
                       .reference = reference,
                       .reference_i8 = reduce_sum_i8};

}  // namespace ew::ops
