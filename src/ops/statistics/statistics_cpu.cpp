// The definition with its names read once and its memory taken before.
#include "ops/statistics/statistics.h"
#include "runtime/cpu_facet.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> statistics_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> statistics_cpu(const runtime::KernelContext& c) {
  if (!runtime::is_f32(c)) return nullptr;
  const std::vector<Statistic> what = *parse_statistics(c.node.attrs.text("names"));
  const int64_t n = c.in[0]->shape[-1];
  const int64_t rows = c.in[0]->shape.num_elements() / n;
  return runtime::make_kernel(
      [=](ConstViews in, Views out, void* workspace, ThreadPool*) {
        statistics_of<float>(what, in[0].as<float>(), rows, n, out[0].as<float>(),
                             static_cast<double*>(workspace));
      },
      static_cast<size_t>(n) * sizeof(double));
}

}  // namespace ew::ops
