/// dense: y[..., n] = sum_k x[..., k] w[k, n] + bias[n], clamped.
///
///   inputs   x: floating or int8 [..., K]; w: [K, N]; bias: [N], optional
///   outputs  y: [..., N]
///   attrs    clamp_min, clamp_max: a fused activation's real bounds
///            asymmetric_inputs: of a float x with an int8 w (ops/hybrid.h)
///   quant    calibrated; w int8 per output (axis 1) or per tensor, bias int32 at s_x s_w;
///            integer reference in dense_i8.cpp
///   errors   kInvalidArgument if K differs
#include "ops/hybrid.h"
#include "ops/int16.h"

namespace ew::ops {

void dense_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile);

namespace {

const AttrDef kAttrs[] = {int8::kClampMin, int8::kClampMax, kAsymmetricInputs};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs&) {
  EW_TRY_VOID(int16::expect_real(*in[0]));
  EW_TRY_VOID(int8::check_operands(in, 1));
  const Shape& x = in[0]->shape;
  const Shape& w = in[1]->shape;
  if (x.rank() < 1 || w.rank() != 2) {
    return invalid_argument("expected x of rank 1 or more and a kernel of rank 2, found ", x,
                            " and ", w);
  }
  if (x[-1] != w[0]) {
    return invalid_argument("kernel has ", w[0], " inputs, x has ", x[-1], " features");
  }
  if (in.size() > 2 && in[2] != nullptr && in[2]->shape != Shape{w[1]}) {
    return invalid_argument("expected a bias of ", w[1], " elements, found shape ", in[2]->shape);
  }
  Shape y = x;
  y[-1] = w[1];
  return std::vector<TensorType>{{in[0]->dtype, std::move(y), nullptr}};
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const int64_t k_size = in[1].shape()[0];
  const int64_t n_size = in[1].shape()[1];
  const int64_t rows = in[0].shape().product(0, in[0].shape().rank() - 1);
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* x = in[0].as<T>();
    const T* w = in[1].as<T>();
    const T* bias = in.size() > 2 && in[2] ? in[2].as<T>() : nullptr;
    T* y = out[0].as<T>();
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t n = 0; n < n_size; ++n) {
        double sum = bias ? static_cast<double>(bias[n]) : 0;
        for (int64_t k = 0; k < k_size; ++k) {
          sum += static_cast<double>(x[r * k_size + k]) * static_cast<double>(w[k * n_size + n]);
        }
        y[r * n_size + n] = static_cast<T>(sum);
      }
    }
  });
  int8::clamp_real(attrs, out[0]);
}

int64_t macs(InputTypes in, std::span<const TensorType> out, const Attrs&) {
  return out[0].shape.num_elements() * in[1]->shape[0];
}

}  // namespace

const OpDef kDense{.name = "dense",
                   .attrs = kAttrs,
                   .min_inputs = 2,
                   .max_inputs = 3,
                   .infer = infer,
                   .reference = reference,
                   .reference_i8 = dense_i8,
                   .quant = QuantRule::calibrated(),
                   .macs = macs};

}  // namespace ew::ops
