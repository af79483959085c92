// CPU kernels of elementwise operators. Rows without one run their reference.
#include <array>

#include "ops/int8.h"
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

bool same_shapes(const KernelContext& c) {
  return c.in[0]->shape == c.out[0].shape && c.in[1]->shape == c.out[0].shape;
}

/// Both inputs of the output's shape, or the second a row that is added to every row of the first.
std::unique_ptr<Kernel> add(const KernelContext& c) {
  if (!runtime::is_f32(c)) return nullptr;
  const int64_t n = c.out[0].shape.num_elements();
  const kernels::Clamp clamp = runtime::clamp_of(c.node);
  if (same_shapes(c)) {
    return runtime::make_kernel([n, clamp](ConstViews in, Views out, void*, ThreadPool* pool) {
      runtime::cpu().add(n, in[0].as<float>(), in[1].as<float>(), clamp, out[0].as<float>(), pool);
    });
  }
  const Shape& row = c.in[1]->shape;
  if (c.in[0]->shape != c.out[0].shape || row.rank() < 1 || row.num_elements() != row[-1] ||
      row[-1] != c.out[0].shape[-1] || row[-1] == 0) {
    return nullptr;
  }
  const int64_t width = row[-1];
  return runtime::make_kernel([n, width, clamp](ConstViews in, Views out, void*, ThreadPool* pool) {
    runtime::cpu().add_row(n / width, width, in[0].as<float>(), in[1].as<float>(), clamp,
                           out[0].as<float>(), pool);
  });
}

/// Both inputs of the output's shape, or the second one number.
std::unique_ptr<Kernel> mul(const KernelContext& c) {
  if (!runtime::is_f32(c) || int8::has_clamp(c.node.attrs)) return nullptr;
  const int64_t n = c.out[0].shape.num_elements();
  if (same_shapes(c)) {
    return runtime::make_kernel([n](ConstViews in, Views out, void*, ThreadPool* pool) {
      runtime::cpu().mul(n, in[0].as<float>(), in[1].as<float>(), out[0].as<float>(), pool);
    });
  }
  if (c.in[0]->shape != c.out[0].shape || c.in[1]->shape.num_elements() != 1) return nullptr;
  return runtime::make_kernel([n](ConstViews in, Views out, void*, ThreadPool* pool) {
    runtime::cpu().affine(n, in[0].as<float>(), *in[1].as<float>(), 0, out[0].as<float>(), pool);
  });
}

std::unique_ptr<Kernel> sub(const KernelContext& c) {
  if (!runtime::is_f32(c) || !same_shapes(c) || int8::has_clamp(c.node.attrs)) return nullptr;
  const int64_t n = c.out[0].shape.num_elements();
  return runtime::make_kernel([n](ConstViews in, Views out, void*, ThreadPool* pool) {
    runtime::cpu().sub(n, in[0].as<float>(), in[1].as<float>(), out[0].as<float>(), pool);
  });
}

struct Row {
  const OpDef* op;
  runtime::PrepareFn prepare;
};

using Table = kernels::ElementwiseTable;
const Row kRows[] = {
    {&kAdd, add},
    {&kMul, mul},
    {&kSub, sub},
    {&kRelu, relu},
    {&kRelu6, relu6},
    {&kReluGrad, relu_grad},
    {&kRelu6Grad, relu6_grad},
    {&kExp, one_input<&Table::exp>},
    {&kSigmoid, one_input<&Table::sigmoid>},
    {&kTanh, one_input<&Table::tanh>},
    {&kSigmoidGrad, from_output<&Table::sigmoid_grad>},
    {&kTanhGrad, from_output<&Table::tanh_grad>},
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
