// Dense as one matrix product over all rows, with the bias in its epilogue.
#include "runtime/cpu_facet.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> dense_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> dense_cpu(const runtime::KernelContext& c) {
  if (!runtime::is_f32(c)) return nullptr;
  kernels::GemmArgs args;
  args.m = c.in[0]->shape.product(0, c.in[0]->shape.rank() - 1);
  args.k = c.in[1]->shape[0];
  args.n = c.in[1]->shape[1];
  args.lda = args.k;
  args.ldb = args.n;
  args.ldc = args.n;
  args.clamp = runtime::clamp_of(c.node);
  const size_t bytes = runtime::cpu().gemm_workspace_bytes(args, runtime::kMaxThreads);
  return runtime::make_kernel(
      [args](ConstViews in, Views out, void* workspace, ThreadPool* pool) {
        kernels::GemmArgs run = args;
        run.a = in[0].as<float>();
        run.b = in[1].as<float>();
        run.bias = in.size() > 2 && in[2] ? in[2].as<float>() : nullptr;
        run.c = out[0].as<float>();
        runtime::cpu().gemm(run, workspace, pool);
      },
      bytes);
}

}  // namespace ew::ops
