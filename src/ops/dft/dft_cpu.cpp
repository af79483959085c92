// Rows side by side in the lanes of a vector (runtime/kernels/signal_table.h).
#include <memory>

#include "ops/dft/dft.h"
#include "runtime/cpu_facet.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> dft_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> dft_cpu(const runtime::KernelContext& c) {
  const Shape& x = c.in[0]->shape;
  if (!runtime::is_f32(c) || x.num_elements() == 0) return nullptr;
  auto plan = std::make_shared<const signal::DftPlan>(dft_rows_of(x, c.node.attrs));
  const int64_t count = x.num_elements() / plan->rows.stride;
  const int64_t lanes = std::min<int64_t>(count, kernels::kDftLanes);
  const size_t bytes = static_cast<size_t>(plan->workspace(lanes)) * sizeof(float);
  return runtime::make_kernel(
      [=](ConstViews in, Views out, void* workspace, ThreadPool*) {
        runtime::cpu().dft(*plan, in[0].as<float>(), out[0].as<float>(), count, lanes,
                           static_cast<float*>(workspace));
      },
      bytes);
}

}  // namespace ew::ops
