// Dropout without shared elements: one hash and one comparison per element.
#include <cmath>

#include "base/rng.h"
#include "runtime/cpu_facet.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> noise_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> noise_cpu(const runtime::KernelContext& c) {
  const Attrs& attrs = c.node.attrs;
  const bool is_plain = c.in[0]->dtype == DType::kF32 && attrs.text("kind") == "keep";
  const std::vector<int64_t>& shared = attrs.ints("noise_shape");
  const Shape& shape = c.in[0]->shape;
  for (size_t d = 0; d < shared.size(); ++d) {
    if (shared[d] == 1 && shape[static_cast<int>(d)] != 1) return nullptr;
  }
  if (!is_plain) return nullptr;
  const int64_t n = shape.num_elements();
  const auto seed = static_cast<uint64_t>(attrs.integer("seed"));
  const auto stream = static_cast<uint64_t>(attrs.integer("stream")) << 40;
  const auto threshold = static_cast<uint64_t>(std::ceil(attrs.number("drop") * 0x1p53));
  const double scale = attrs.number("scale");
  return runtime::make_kernel([=](ConstViews in, Views out, void*, ThreadPool* pool) {
    const auto step = static_cast<uint64_t>(*in[1].as<int64_t>());
    runtime::cpu().keep_random(n, in[0].as<float>(), counter_key(seed, stream ^ step), threshold,
                               scale, out[0].as<float>(), pool);
  });
}

}  // namespace ew::ops
