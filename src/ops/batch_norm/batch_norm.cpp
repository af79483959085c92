/// batch_norm: y = (x - mean) / sqrt(variance + epsilon) * gamma + beta along one axis.
///
///   inputs   x: floating; gamma, beta: [C], each optional; mean, variance: [C]: moving averages
///   outputs  y: shape of x
///   attrs    axis; epsilon; momentum: of the moving averages, in training; is_frozen: infers in
///            training too (Keras' trainable=False); sample_variance: the moving variance takes
///            N / (N - 1) times the batch's, as tf-keras' fused kernel does (4-D input, last axis)
///   errors   kInvalidArgument if the axis is out of range or a vector has another length
#include "ops/ops.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"axis", int64_t{-1}},
                          {"epsilon", 1e-3},
                          {"momentum", 0.99},
                          {"is_frozen", false},
                          {"sample_variance", false}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
  EW_TRY_VOID(expect_same_dtype(in));
  const Shape& x = in[0]->shape;
  EW_TRY(const int axis, normalize_axis(attrs.integer("axis"), x.rank()));
  constexpr const char* kNames[] = {"x", "gamma", "beta", "mean", "variance"};
  if (in[3] == nullptr) return invalid_argument("the mean is missing");
  for (size_t i = 1; i < 5; ++i) {
    if (in[i] == nullptr) continue;
    const Shape& vector = in[i]->shape;
    if (vector.rank() != 1 || (x[axis] != kUnknown && vector[0] != x[axis]) ||
        vector != in[3]->shape) {
      return invalid_argument(kNames[i], ": expected ", x[axis], " elements, found shape ", vector);
    }
  }
  return infer_same(in, attrs);
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const AxisSplit v = split_at(shape, *normalize_axis(attrs.integer("axis"), shape.rank()));
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* x = in[0].as<T>();
    const T* gamma = in[1] ? in[1].as<T>() : nullptr;
    const T* beta = in[2] ? in[2].as<T>() : nullptr;
    const T* mean = in[3].as<T>();
    const T* variance = in[4].as<T>();
    T* y = out[0].as<T>();
    for (int64_t i = 0; i < in[0].size(); ++i) {
      const int64_t c = i / v.inner % v.axis;
      const double scale = (gamma ? static_cast<double>(gamma[c]) : 1.0) /
                           std::sqrt(static_cast<double>(variance[c]) + attrs.number("epsilon"));
      const double centred = static_cast<double>(x[i]) - static_cast<double>(mean[c]);
      y[i] = static_cast<T>(centred * scale + (beta ? static_cast<double>(beta[c]) : 0.0));
    }
  });
}

}  // namespace

const OpDef kBatchNorm{.name = "batch_norm",
                       .attrs = kAttrs,
                       .min_inputs = 5,
                       .max_inputs = 5,
                       .infer = infer,
                       .reference = reference,
                       .quant = QuantRule::calibrated(),
                       .is_training_dependent = true};

}  // namespace ew::ops
