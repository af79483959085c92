// CPU kernels of elementwise operators. Rows without one run their reference.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/int8.h"
#include "ops/selected.h"
#include "runtime/cpu_facet.h"

namespace ew::ops {
namespace {

using runtime::Kernel;
using runtime::KernelContext;

template <auto kernels::ElementwiseTable::* function>
std::unique_ptr<Kernel> one_input(const KernelContext& c) {
  if (!runtime::is_f32(c)) return nullptr;
  const int64_t n = c.out[0].shape.num_elements();
  return runtime::make_kernel([n](ConstViews in, Views out, void*, ThreadPool* pool) {
    (runtime::cpu().*function)(n, in[0].as<float>(), out[0].as<float>(), pool);
  });
}

std::unique_ptr<Kernel> clamped(const KernelContext& c, kernels::Clamp clamp) {
  if (!runtime::is_f32(c)) return nullptr;
  const int64_t n = c.out[0].shape.num_elements();
  return runtime::make_kernel([n, clamp](ConstViews in, Views out, void*, ThreadPool* pool) {
    runtime::cpu().clamp(n, in[0].as<float>(), clamp, out[0].as<float>(), pool);
  });
}

/// in: x, y, dy.
std::unique_ptr<Kernel> clamped_grad(const KernelContext& c, kernels::Clamp clamp) {
  if (!runtime::is_f32(c)) return nullptr;
  const int64_t n = c.out[0].shape.num_elements();
  return runtime::make_kernel([n, clamp](ConstViews in, Views out, void*, ThreadPool* pool) {
    runtime::cpu().clamp_grad(n, in[1].as<float>(), in[2].as<float>(), clamp, out[0].as<float>(),
                              pool);
  });
}

std::unique_ptr<Kernel> relu(const KernelContext& c) {
  return clamped(c, {0, std::numeric_limits<float>::infinity()});
}
std::unique_ptr<Kernel> relu6(const KernelContext& c) { return clamped(c, {0, 6}); }
std::unique_ptr<Kernel> relu_grad(const KernelContext& c) {
  return clamped_grad(c, {0, std::numeric_limits<float>::infinity()});
}
std::unique_ptr<Kernel> relu6_grad(const KernelContext& c) { return clamped_grad(c, {0, 6}); }

/// Gradients from the output y alone; in: x, y, dy.
template <auto kernels::ElementwiseTable::* function>
std::unique_ptr<Kernel> from_output(const KernelContext& c) {
  if (!runtime::is_f32(c)) return nullptr;
  const int64_t n = c.out[0].shape.num_elements();
  return runtime::make_kernel([n](ConstViews in, Views out, void*, ThreadPool* pool) {
    (runtime::cpu().*function)(n, in[1].as<float>(), in[2].as<float>(), out[0].as<float>(), pool);
  });
}

/// How the inputs of a binary operator lie over the output.
enum class Layout { kSame, kScalar, kRow, kOther };

/// `wide` has the output's shape, `other` is broadcast to it.
Layout layout_of(const Shape& wide, const Shape& other, const Shape& out) {
  if (wide != out) return Layout::kOther;
  if (other == out) return Layout::kSame;
  const int64_t n = other.num_elements();
  if (n == 1) return Layout::kScalar;
  // A row: its trailing dimensions are the output's, the leading ones 1.
  int64_t tail = 1;
  for (int d = out.rank() - 1; d >= 0 && tail < n; --d) {
    const int from = d - (out.rank() - other.rank());
    if (from < 0 || other[from] != out[d]) return Layout::kOther;
    tail *= out[d];
  }
  return tail == n && n > 0 ? Layout::kRow : Layout::kOther;
}

/// a + b and a * b, where either may be a scalar or a row that is broadcast over the other.
template <bool is_product>
std::unique_ptr<Kernel> commutative(const KernelContext& c) {
  if (!runtime::is_f32(c)) return nullptr;
  const Shape& out = c.out[0].shape;
  const int64_t n = out.num_elements();
  size_t wide = 0;
  Layout layout = layout_of(c.in[0]->shape, c.in[1]->shape, out);
  if (layout == Layout::kOther) {
    wide = 1;
    layout = layout_of(c.in[1]->shape, c.in[0]->shape, out);
  }
  if (layout == Layout::kOther) return nullptr;
  const int64_t width = std::max<int64_t>(c.in[1 - wide]->shape.num_elements(), 1);
  const kernels::Clamp clamp = runtime::clamp_of(c.node);
  return runtime::make_kernel([=](ConstViews in, Views o, void*, ThreadPool* pool) {
    const kernels::KernelTable& k = runtime::cpu();
    const float* a = in[wide].as<float>();
    const float* b = in[1 - wide].as<float>();
    float* y = o[0].as<float>();
    if (!is_product && layout == Layout::kRow) {
      return k.add_row(n / width, width, a, b, clamp, y, pool);
    }
    if (!is_product && layout == Layout::kSame) return k.add(n, a, b, clamp, y, pool);
    if (layout == Layout::kScalar) {
      k.affine(n, a, is_product ? *b : 1, is_product ? 0 : *b, y, pool);
    } else if (layout == Layout::kRow) {
      k.mul_row(n / width, width, a, b, y, pool);
    } else {
      k.mul(n, a, b, y, pool);
    }
    if (std::isfinite(clamp.lo) || std::isfinite(clamp.hi)) k.clamp(n, y, clamp, y, pool);
  });
}

template <kernels::Unary function>
std::unique_ptr<Kernel> named(const KernelContext& c) {
  if (!runtime::is_f32(c)) return nullptr;
  const int64_t n = c.out[0].shape.num_elements();
  const auto alpha = static_cast<float>(c.node.attrs.number("alpha"));
  const auto beta = static_cast<float>(c.node.attrs.number("beta"));
  return runtime::make_kernel([=](ConstViews in, Views out, void*, ThreadPool* pool) {
    runtime::cpu().unary(function, n, in[0].as<float>(), alpha, beta, out[0].as<float>(), pool);
  });
}

/// f(a, b), where one of them has the output's shape.
template <kernels::Binary function>
std::unique_ptr<Kernel> ordered(const KernelContext& c) {
  using kernels::Spread;
  if (!runtime::is_f32(c) || int8::has_clamp(c.node.attrs)) return nullptr;
  const Shape& out = c.out[0].shape;
  const int64_t n = out.num_elements();
  size_t wide = 0;
  Layout layout = layout_of(c.in[0]->shape, c.in[1]->shape, out);
  if (layout == Layout::kOther) {
    wide = 1;
    layout = layout_of(c.in[1]->shape, c.in[0]->shape, out);
  }
  if (layout == Layout::kOther || n == 0) return nullptr;
  const int64_t width = layout == Layout::kRow ? c.in[1 - wide]->shape.num_elements() : n;
  Spread spreads[2] = {Spread::kSame, Spread::kSame};
  if (layout == Layout::kScalar) spreads[1 - wide] = Spread::kScalar;
  if (layout == Layout::kRow) spreads[1 - wide] = Spread::kRow;
  return runtime::make_kernel([=, first = spreads[0], second = spreads[1]](
                                  ConstViews in, Views o, void*, ThreadPool* pool) {
    runtime::cpu().binary(function, n / width, width, {in[0].as<float>(), first},
                          {in[1].as<float>(), second}, o[0].as<float>(), pool);
  });
}

struct Row {
  const OpDef* op;
  runtime::PrepareFn prepare;
};

using Table = kernels::ElementwiseTable;
const Row kRows[] = {
    {EW_IF_SELECTED(add, Add), commutative<false>},
    {EW_IF_SELECTED(mul, Mul), commutative<true>},
    {EW_IF_SELECTED(div, Div), ordered<kernels::Binary::kDiv>},
    {EW_IF_SELECTED(maximum, Maximum), ordered<kernels::Binary::kMaximum>},
    {EW_IF_SELECTED(minimum, Minimum), ordered<kernels::Binary::kMinimum>},
    {EW_IF_SELECTED(sub, Sub), ordered<kernels::Binary::kSub>},
    {EW_IF_SELECTED(abs, Abs), named<kernels::Unary::kAbs>},
    {EW_IF_SELECTED(clip, Clip), named<kernels::Unary::kClip>},
    {EW_IF_SELECTED(gelu_tanh, GeluTanh), named<kernels::Unary::kGeluTanh>},
    {EW_IF_SELECTED(hard_sigmoid, HardSigmoid), named<kernels::Unary::kHardSigmoid>},
    {EW_IF_SELECTED(hard_silu, HardSilu), named<kernels::Unary::kHardSilu>},
    {EW_IF_SELECTED(leaky_relu, LeakyRelu), named<kernels::Unary::kLeakyRelu>},
    {EW_IF_SELECTED(neg, Neg), named<kernels::Unary::kNeg>},
    {EW_IF_SELECTED(silu, Silu), named<kernels::Unary::kSilu>},
    {EW_IF_SELECTED(sqrt, Sqrt), named<kernels::Unary::kSqrt>},
    {EW_IF_SELECTED(square, Square), named<kernels::Unary::kSquare>},
    {EW_IF_SELECTED(relu, Relu), relu},
    {EW_IF_SELECTED(relu6, Relu6), relu6},
    {EW_IF_SELECTED(relu_grad, ReluGrad), relu_grad},
    {EW_IF_SELECTED(relu6_grad, Relu6Grad), relu6_grad},
    {EW_IF_SELECTED(exp, Exp), one_input<&Table::exp>},
    {EW_IF_SELECTED(sigmoid, Sigmoid), one_input<&Table::sigmoid>},
    {EW_IF_SELECTED(tanh, Tanh), one_input<&Table::tanh>},
    {EW_IF_SELECTED(sigmoid_grad, SigmoidGrad), from_output<&Table::sigmoid_grad>},
    {EW_IF_SELECTED(tanh_grad, TanhGrad), from_output<&Table::tanh_grad>},
};

}  // namespace

runtime::PrepareFn find_elementwise_cpu(const OpDef& op);
runtime::PrepareFn find_elementwise_cpu(const OpDef& op) {
  for (const Row& row : kRows) {
    if (row.op == &op) return row.prepare;
  }
  return nullptr;
}

}  // namespace ew::ops
