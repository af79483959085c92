/// batch_norm_train: batch_norm by the statistics of the batch, and the moving averages' next
/// values, moving = moving * momentum + batch * (1 - momentum).
///
///   inputs   those of batch_norm
///   outputs  y: shape of x; moving mean, moving variance: [C]; the batch's mean and
///            1 / sqrt(variance + epsilon): [C]
///   attrs    axis, epsilon, momentum, sample_variance: as batch_norm
///   errors   as batch_norm
#include <algorithm>

#include "ops/ops.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {
    {"axis", int64_t{-1}}, {"epsilon", 1e-3}, {"momentum", 0.99}, {"sample_variance", false}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY(std::vector<TensorType> out, kBatchNorm.infer(in, attrs));
  const TensorType vector{in[0]->dtype, in[3]->shape, nullptr};
  out.insert(out.end(), 4, vector);
  return out;
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const AxisSplit v = split_at(shape, *normalize_axis(attrs.integer("axis"), shape.rank()));
  const int64_t count = v.outer * v.inner;
  const double momentum = attrs.number("momentum");
  const double bessel = attrs.flag("sample_variance") && count > 1
                            ? static_cast<double>(count) / static_cast<double>(count - 1)
                            : 1.0;
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* x = in[0].as<T>();
    T* y = out[0].as<T>();
    const auto value = [](const auto& view, int64_t i, double absent) {
      return view ? static_cast<double>(view.template as<T>()[i]) : absent;
    };
    for (int64_t c = 0; c < v.axis; ++c) {
      const auto at = [&](int64_t i) { return (i / v.inner * v.axis + c) * v.inner + i % v.inner; };
      double sum = 0;
      for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(x[at(i)]);
      const double mean = sum / static_cast<double>(std::max<int64_t>(count, 1));
      double squares = 0;
      for (int64_t i = 0; i < count; ++i) {
        const double d = static_cast<double>(x[at(i)]) - mean;
        squares += d * d;
      }
      const double variance = squares / static_cast<double>(std::max<int64_t>(count, 1));
      const double inv = 1 / std::sqrt(variance + attrs.number("epsilon"));
      const double scale = value(in[1], c, 1) * inv;
      const double shift = value(in[2], c, 0);
      for (int64_t i = 0; i < count; ++i) {
        y[at(i)] = static_cast<T>((static_cast<double>(x[at(i)]) - mean) * scale + shift);
      }
      const double moving_mean = value(in[3], c, 0) * momentum + mean * (1 - momentum);
      const double moving_var = value(in[4], c, 1) * momentum + variance * bessel * (1 - momentum);
      out[1].as<T>()[c] = static_cast<T>(moving_mean);
      out[2].as<T>()[c] = static_cast<T>(moving_var);
      out[3].as<T>()[c] = static_cast<T>(mean);
      out[4].as<T>()[c] = static_cast<T>(inv);
    }
  });
}

}  // namespace

const OpDef kBatchNormTrain{.name = "batch_norm_train",
                            .attrs = kAttrs,
                            .min_inputs = 5,
                            .max_inputs = 5,
                            .infer = infer,
                            .reference = reference};

}  // namespace ew::ops
