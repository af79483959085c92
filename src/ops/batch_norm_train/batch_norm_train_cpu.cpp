#include "runtime/cpu_facet.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> batch_norm_train_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> batch_norm_train_cpu(const runtime::KernelContext& c) {
  const Shape& x = c.in[0]->shape;
  const int64_t axis = c.node.attrs.integer("axis");
  if (!runtime::is_f32(c) || (axis != -1 && axis != x.rank() - 1)) return nullptr;
  kernels::BatchNormForward args;
  args.channels = x[-1];
  args.rows = x.product(0, x.rank() - 1);
  args.epsilon = static_cast<float>(c.node.attrs.number("epsilon"));
  const auto momentum = static_cast<float>(c.node.attrs.number("momentum"));
  const auto rest = static_cast<float>(1 - c.node.attrs.number("momentum"));
  const bool is_sample = c.node.attrs.flag("sample_variance") && args.rows > 1;
  const double bessel =
      is_sample ? static_cast<double>(args.rows) / static_cast<double>(args.rows - 1) : 1;
  const size_t bytes =
      runtime::aligned(runtime::cpu().batch_norm_workspace_bytes(args.rows, args.channels));
  return runtime::make_kernel(
      [=](ConstViews in, Views out, void* workspace, ThreadPool* pool) {
        kernels::BatchNormForward run = args;
        auto* variance = static_cast<float*>(runtime::offset(workspace, bytes));
        run.x = in[0].as<float>();
        run.gamma = in[1] ? in[1].as<float>() : nullptr;
        run.beta = in[2] ? in[2].as<float>() : nullptr;
        run.y = out[0].as<float>();
        run.mean = out[3].as<float>();
        run.inv_std = out[4].as<float>();
        run.variance = variance;
        runtime::cpu().batch_norm(run, workspace, pool);
        for (int64_t i = 0; i < args.channels; ++i) {
          const auto batch = static_cast<float>(static_cast<double>(variance[i]) * bessel);
          out[1].as<float>()[i] = in[3].as<float>()[i] * momentum + run.mean[i] * rest;
          out[2].as<float>()[i] = in[4].as<float>()[i] * momentum + batch * rest;
        }
      },
      bytes + static_cast<size_t>(args.channels) * sizeof(float));
}

}  // namespace ew::ops
