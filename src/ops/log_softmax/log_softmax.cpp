/// log_softmax: y[k] = x[k] - max(x) - log(sum_j exp(x[j] - max(x))), along one axis.
///
///   inputs   x: floating, rank >= 1
///   outputs  y: shape of x
///   attrs    axis: int, default -1; negative counts from the last dimension
///   errors   kInvalidArgument if axis is not in [-rank, rank)
#include <algorithm>

#include "ops/ops.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"axis", int64_t{-1}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
  EW_TRY([[maybe_unused]] const int axis,
         normalize_axis(attrs.integer("axis"), in[0]->shape.rank()));
  return infer_same(in, attrs);
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const AxisSplit v = split_at(shape, *normalize_axis(attrs.integer("axis"), shape.rank()));
  if (in[0].size() == 0) return;
  if (v.axis == 0) return;
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* x = in[0].as<T>();
    T* y = out[0].as<T>();
    for (int64_t o = 0; o < v.outer; ++o) {
      for (int64_t i = 0; i < v.inner; ++i) {
        const auto at = [&](int64_t a) { return (o * v.axis + a) * v.inner + i; };
        T max = x[at(0)];
        for (int64_t a = 1; a < v.axis; ++a) max = std::max(max, x[at(a)]);
        double sum = 0;
        for (int64_t a = 0; a < v.axis; ++a) sum += std::exp(static_cast<double>(x[at(a)] - max));
        const double shift = static_cast<double>(max) + std::log(sum);
        for (int64_t a = 0; a < v.axis; ++a) {
          y[at(a)] = static_cast<T>(static_cast<double>(x[at(a)]) - shift);
        }
      }
    }
  });
}

}  // namespace

const OpDef kLogSoftmax{.name = "log_softmax",
                        .attrs = kAttrs,
                        .infer = infer,
                        .reference = reference,
                        .quant = QuantRule::fixed(16.F / 256, 127)};

}  // namespace ew::ops
