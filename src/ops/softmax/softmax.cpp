/// softmax: y[k] = exp(x[k] - max(x)) / sum_j exp(x[j] - max(x)), along one axis.
///
///   inputs   x: floating or int8, rank >= 1
///   outputs  y: shape of x; values in [0, 1]; every slice along `axis` sums to 1
///   attrs    axis: int, default -1; negative counts from the last dimension
///   quant    output fixed to scale 1/256, zero point -128 (TFLite int8 operator specification);
///            integer reference in softmax_i8.cpp
///   errors   kInvalidArgument if axis is not in [-rank, rank)
#include <algorithm>

#include "ops/int16.h"
#include "ops/ops.h"

namespace ew::ops {

void softmax_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile);

namespace {

const AttrDef kAttrs[] = {{"axis", int64_t{-1}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(int16::expect_real(*in[0]));
  EW_TRY([[maybe_unused]] const int axis,
         normalize_axis(attrs.integer("axis"), in[0]->shape.rank()));
  return infer_same(in, attrs);
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const AxisSplit v = split_at(shape, *normalize_axis(attrs.integer("axis"), shape.rank()));
  if (in[0].size() == 0) return;
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* x = in[0].as<T>();
    T* y = out[0].as<T>();
    for (int64_t o = 0; o < v.outer; ++o) {
      for (int64_t i = 0; i < v.inner; ++i) {
        const auto at = [&](int64_t a) { return (o * v.axis + a) * v.inner + i; };
        // Subtracting the maximum keeps exp() finite; the quotient does not change.
        T max = x[at(0)];
        for (int64_t a = 1; a < v.axis; ++a) max = std::max(max, x[at(a)]);
        double sum = 0;  // double: f32 rounding would grow with the number of classes
        for (int64_t a = 0; a < v.axis; ++a) {
          y[at(a)] = std::exp(x[at(a)] - max);
          sum += static_cast<double>(y[at(a)]);
        }
        for (int64_t a = 0; a < v.axis; ++a) {
          y[at(a)] = static_cast<T>(static_cast<double>(y[at(a)]) / sum);
        }
      }
    }
  });
}

}  // namespace

const OpDef kSoftmax{.name = "softmax",
                     .attrs = kAttrs,
                     .infer = infer,
                     .reference = reference,
                     .reference_i8 = softmax_i8,
                     .quant = QuantRule::fixed(1.F / 256, -128)};

}  // namespace ew::ops
