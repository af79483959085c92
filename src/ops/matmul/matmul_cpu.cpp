// Batched matrix products, one call per matrix.
#include "runtime/cpu_facet.h"

namespace ew::ops {
namespace {

Shape leading(const Shape& shape) {
  return Shape(std::vector<int64_t>(shape.dims().begin(), shape.dims().end() - 2));
}

}  // namespace

std::unique_ptr<runtime::Kernel> matmul_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> matmul_cpu(const runtime::KernelContext& c) {
  if (!runtime::is_f32(c)) return nullptr;
  const Shape& a = c.in[0]->shape;
  const Shape& b = c.in[1]->shape;
  kernels::GemmArgs args;
  args.transpose_a = c.node.attrs.flag("transpose_a");
  args.transpose_b = c.node.attrs.flag("transpose_b");
  args.m = c.out[0].shape[-2];
  args.n = c.out[0].shape[-1];
  args.k = args.transpose_a ? a[-2] : a[-1];
  args.lda = a[-1];
  args.ldb = b[-1];
  args.ldc = args.n;
  const Shape batch = leading(c.out[0].shape);
  const BroadcastIndex index_a(leading(a), batch);
  const BroadcastIndex index_b(leading(b), batch);
  const int64_t count = batch.num_elements();
  const size_t bytes = runtime::cpu().gemm_workspace_bytes(args, runtime::kMaxThreads);
  return runtime::make_kernel(
      [args, index_a, index_b, count](ConstViews in, Views out, void* workspace, ThreadPool* pool) {
        kernels::GemmArgs run = args;
        for (int64_t i = 0; i < count; ++i) {
          run.a = in[0].as<float>() + index_a(i) * args.m * args.k;
          run.b = in[1].as<float>() + index_b(i) * args.k * args.n;
          run.c = out[0].as<float>() + i * args.m * args.n;
          runtime::cpu().gemm(run, workspace, pool);
        }
      },
      bytes);
}

}  // namespace ew::ops
