/// resample: y[.., o, ..] = sum over k of weights[o, k] x[.., ids[o, k], ..] along one axis: what
/// every separable interpolation is, once its coordinates are known.
///
///   inputs   x: floating, [.., I, ..]; ids: int64 [O, K]; weights: floating [O, K]
///   outputs  y: [.., O, ..]; sums in double; an id outside [0, I) adds nothing
///   attrs    axis
///   errors   kInvalidArgument for tables that do not fit or an axis out of range
#include "ops/ops.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"axis", int64_t{0}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
  Shape shape = in[0]->shape;
  EW_TRY(const int axis, normalize_axis(attrs.integer("axis"), shape.rank()));
  const Shape& ids = in[1]->shape;
  EW_TRY_VOID(expect_floating(*in[2]));
  if (ids.rank() != 2 || ids != in[2]->shape || in[1]->dtype != DType::kI64) {
    return invalid_argument("expected int64 ids and weights of one shape [O, K], found ", *in[1],
                            " and ", *in[2]);
  }
  shape[axis] = ids[0];
  return std::vector<TensorType>{{in[0]->dtype, std::move(shape), nullptr}};
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const AxisSplit s = split_at(shape, *normalize_axis(attrs.integer("axis"), shape.rank()));
  const int64_t lengths = in[1].shape()[0];
  const int64_t taps = in[1].shape()[1];
  const auto* ids = in[1].as<int64_t>();
  std::vector<double> weights(static_cast<size_t>(lengths * taps));
  convert_elements(in[2].dtype(), in[2].data, DType::kF64, weights.data(), lengths * taps);
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* x = in[0].as<T>();
    T* y = out[0].as<T>();
    std::vector<double> sums(static_cast<size_t>(s.inner));
    for (int64_t n = 0; n < s.outer; ++n) {
      for (int64_t o = 0; o < lengths; ++o) {
        std::fill(sums.begin(), sums.end(), 0.0);
        for (int64_t k = o * taps; k < (o + 1) * taps; ++k) {
          const double weight = weights[static_cast<size_t>(k)];
          if (ids[k] < 0 || ids[k] >= s.axis || weight == 0) continue;
          const T* row = x + (n * s.axis + ids[k]) * s.inner;
          for (int64_t i = 0; i < s.inner; ++i) {
            sums[static_cast<size_t>(i)] += weight * static_cast<double>(row[i]);
          }
        }
        for (int64_t i = 0; i < s.inner; ++i) {
          y[(n * lengths + o) * s.inner + i] = static_cast<T>(sums[static_cast<size_t>(i)]);
        }
      }
    }
  });
}

}  // namespace

const OpDef kResample{.name = "resample",
                      .attrs = kAttrs,
                      .min_inputs = 3,
                      .max_inputs = 3,
                      .infer = infer,
                      .reference = reference};

}  // namespace ew::ops
