// reduce_mean in integers: the sum is exact; the multiplier s_x / s_y takes 1 / count into itself
// with as many extra bits as count has.
#include <bit>

#include "ops/int8.h"
#include "ops/reduce.h"

namespace ew::ops {

void reduce_mean_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile);

namespace {

template <typename T>
void mean(ConstViews in, Views out, const Attrs& attrs) {
  const TensorType& from = *in[0].type;
  const TensorType& to = *out[0].type;
  const Shape kept = keepdims_shape(in[0].shape(), attrs);
  const BroadcastIndex index(kept, in[0].shape());
  const auto* x = in[0].as<T>();
  auto* y = out[0].as<T>();
  const int64_t n = in[0].size();
  const int64_t m = out[0].size();
  if (m == 0) return;
  std::vector<int64_t> sums(static_cast<size_t>(m), 0);
  for (int64_t i = 0; i < n; ++i) sums[static_cast<size_t>(index(i))] += x[i];
  const int64_t count = n / m;
  int8::Multiplier scale =
      int8::quantize_multiplier(double{int8::scale_of(from)} / double{int8::scale_of(to)});
  if (count > 0) {
    int shift = 63 - std::countl_zero(static_cast<uint64_t>(count));
    shift = std::min({shift, 32, 31 + scale.shift});
    scale.value = static_cast<int32_t>((int64_t{scale.value} << shift) / count);
    scale.shift -= shift;
  }
  for (int64_t i = 0; i < m; ++i) {
    const int64_t centred = sums[static_cast<size_t>(i)] - int8::zero_of(from) * count;
    const int64_t scaled = int8::scale_twice_rounded(static_cast<int32_t>(centred), scale);
    y[i] = static_cast<T>(std::clamp<int64_t>(
        scaled + int8::zero_of(to), std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
  }
}

}  // namespace

void reduce_mean_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  if (in[0].dtype() == DType::kI16) return mean<int16_t>(in, out, attrs);
  mean<int8_t>(in, out, attrs);
}

}  // namespace ew::ops
