// reduce_sum in integers, as TensorFlow Lite Micro defines it: the sum without the zero points is
// exact, then rescaled by s_x / s_y. (LiteRT's reference kernel gives -1 for sums of one scale.)
#include "ops/int8.h"
#include "ops/reduce.h"

namespace ew::ops {

void reduce_sum_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile);

void reduce_sum_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  const TensorType& from = *in[0].type;
  const TensorType& to = *out[0].type;
  const BroadcastIndex index(keepdims_shape(in[0].shape(), attrs), in[0].shape());
  const auto* x = in[0].as<int8_t>();
  auto* y = out[0].as<int8_t>();
  const int64_t n = in[0].size();
  const int64_t m = out[0].size();
  std::vector<int64_t> sums(static_cast<size_t>(m), 0);
  for (int64_t i = 0; i < n; ++i) sums[static_cast<size_t>(index(i))] += x[i] - int8::zero_of(from);
  const int8::Multiplier scale =
      int8::quantize_multiplier(double{int8::scale_of(from)} / double{int8::scale_of(to)});
  for (int64_t i = 0; i < m; ++i) {
    // The definition adds up in int32, which wraps.
    const auto sum = static_cast<int32_t>(sums[static_cast<size_t>(i)]);
    const int64_t scaled = int8::scale_twice_rounded(sum, scale);
    y[i] = static_cast<int8_t>(std::clamp<int64_t>(scaled + int8::zero_of(to), -128, 127));
  }
}

}  // namespace ew::ops
