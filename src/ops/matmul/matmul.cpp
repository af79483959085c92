/// matmul: C = op(A) op(B) over the last two dimensions, batched over the leading ones, which
/// broadcast.
///
///   inputs   a: floating, int8 or int16 [..., M, K] ([..., K, M] with transpose_a); b: [..., K, N]
///   ([..., N, K]) outputs  c: [..., M, N] attrs    transpose_a, transpose_b: bool quant    both
///   inputs per tensor; integer reference in matmul_i8.cpp errors   kInvalidArgument if K differs
///   or the leading dimensions do not broadcast
#include "ops/int16.h"

namespace ew::ops {

void matmul_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile);

namespace {

const AttrDef kAttrs[] = {{"transpose_a", false}, {"transpose_b", false}};

Shape leading(const Shape& shape) {
  return Shape(std::vector<int64_t>(shape.dims().begin(), shape.dims().end() - 2));
}

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(int16::expect_real(*in[0]));
  if ((in[0]->quant == nullptr) != (in[1]->quant == nullptr)) {
    return invalid_argument("expected two quantised matrices or none, found ", *in[0], " and ",
                            *in[1]);
  }
  EW_TRY_VOID(expect_same_dtype(in));
  const Shape& a = in[0]->shape;
  const Shape& b = in[1]->shape;
  if (a.rank() < 2 || b.rank() < 2) {
    return invalid_argument("expected two matrices, found shapes ", a, " and ", b);
  }
  const bool ta = attrs.flag("transpose_a");
  const bool tb = attrs.flag("transpose_b");
  const int64_t ka = ta ? a[-2] : a[-1];
  const int64_t kb = tb ? b[-1] : b[-2];
  if (ka != kb && ka != kUnknown && kb != kUnknown) {
    return invalid_argument("inner dimensions differ: ", a, " times ", b);
  }
  EW_TRY(Shape c, broadcast(leading(a), leading(b)));
  c.dims().push_back(ta ? a[-1] : a[-2]);
  c.dims().push_back(tb ? b[-2] : b[-1]);
  return std::vector<TensorType>{{in[0]->dtype, std::move(c), nullptr}};
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const bool ta = attrs.flag("transpose_a");
  const bool tb = attrs.flag("transpose_b");
  const Shape& sa = in[0].shape();
  const Shape& sb = in[1].shape();
  const int64_t m_size = out[0].shape()[-2];
  const int64_t n_size = out[0].shape()[-1];
  const int64_t k_size = ta ? sa[-2] : sa[-1];
  const Shape batch = leading(out[0].shape());
  const BroadcastIndex index_a(leading(sa), batch);
  const BroadcastIndex index_b(leading(sb), batch);
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    for (int64_t i = 0; i < batch.num_elements(); ++i) {
      const T* a = in[0].as<T>() + index_a(i) * m_size * k_size;
      const T* b = in[1].as<T>() + index_b(i) * k_size * n_size;
      T* c = out[0].as<T>() + i * m_size * n_size;
      for (int64_t m = 0; m < m_size; ++m) {
        for (int64_t n = 0; n < n_size; ++n) {
          double sum = 0;
          for (int64_t k = 0; k < k_size; ++k) {
            const T x = ta ? a[k * m_size + m] : a[m * k_size + k];
            const T y = tb ? b[n * k_size + k] : b[k * n_size + n];
            sum += static_cast<double>(x) * static_cast<double>(y);
          }
          c[m * n_size + n] = static_cast<T>(sum);
        }
      }
    }
  });
}

int64_t macs(InputTypes in, std::span<const TensorType> out, const Attrs& attrs) {
  return out[0].shape.num_elements() * in[0]->shape[attrs.flag("transpose_a") ? -2 : -1];
}

}  // namespace

const OpDef kMatmul{.name = "matmul",
                    .attrs = kAttrs,
                    .min_inputs = 2,
                    .max_inputs = 2,
                    .infer = infer,
                    .reference = reference,
                    .reference_i8 = matmul_i8,
                    .macs = macs};

}  // namespace ew::ops
