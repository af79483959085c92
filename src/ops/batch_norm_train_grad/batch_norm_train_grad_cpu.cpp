#include "runtime/cpu_facet.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> batch_norm_train_grad_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> batch_norm_train_grad_cpu(const runtime::KernelContext& c) {
  const Shape& x = c.in[0]->shape;
  const int64_t axis = c.node.attrs.integer("axis");
  if (!runtime::is_f32(c) || (axis != -1 && axis != x.rank() - 1)) return nullptr;
  kernels::BatchNormBackward args;
  args.channels = x[-1];
  args.rows = x.product(0, x.rank() - 1);
  const size_t bytes = runtime::cpu().batch_norm_workspace_bytes(args.rows, args.channels);
  return runtime::make_kernel(
      [=](ConstViews in, Views out, void* workspace, ThreadPool* pool) {
        kernels::BatchNormBackward run = args;
        run.x = in[0].as<float>();
        run.gamma = in[1] ? in[1].as<float>() : nullptr;
        run.mean = in[2].as<float>();
        run.inv_std = in[3].as<float>();
        run.dy = in[4].as<float>();
        run.dx = out[0].as<float>();
        run.dgamma = out[1].as<float>();
        run.dbeta = out[2].as<float>();
        runtime::cpu().batch_norm_grad(run, workspace, pool);
      },
      bytes);
}

}  // namespace ew::ops
