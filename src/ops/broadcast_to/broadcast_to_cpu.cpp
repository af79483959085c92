// Rows repeated over the middle of [N, pixels, C]: the gradient of global pooling.
#include <cstring>

#include "runtime/cpu_facet.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> broadcast_to_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> broadcast_to_cpu(const runtime::KernelContext& c) {
  const Shape& x = c.in[0]->shape;
  const Shape& y = c.out[0].shape;
  if (x.rank() != y.rank() || x.rank() < 2 || x[0] != y[0] || x[-1] != y[-1]) return nullptr;
  for (int d = 1; d < x.rank() - 1; ++d) {
    if (x[d] != 1) return nullptr;
  }
  const int64_t batch = y[0];
  const int64_t pixels = y.product(1, y.rank() - 1);
  const size_t row = static_cast<size_t>(y[-1]) * dtype_size(c.in[0]->dtype);
  return runtime::make_kernel([=](ConstViews in, Views out, void*, ThreadPool*) {
    const auto* source = static_cast<const uint8_t*>(in[0].data);
    auto* target = static_cast<uint8_t*>(out[0].data);
    for (int64_t n = 0; n < batch; ++n, source += row) {
      for (int64_t p = 0; p < pixels; ++p, target += row) std::memcpy(target, source, row);
    }
  });
}

}  // namespace ew::ops
