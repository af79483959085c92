// Inference over the last axis: one multiplication and one addition per element.
#include <cmath>

#include "runtime/cpu_facet.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> batch_norm_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> batch_norm_cpu(const runtime::KernelContext& c) {
  const Shape& x = c.in[0]->shape;
  const int64_t axis = c.node.attrs.integer("axis");
  if (!runtime::is_f32(c) || (axis != -1 && axis != x.rank() - 1)) return nullptr;
  const int64_t channels = x[-1];
  const int64_t rows = x.product(0, x.rank() - 1);
  const double epsilon = c.node.attrs.number("epsilon");
  return runtime::make_kernel(
      [=](ConstViews in, Views out, void* workspace, ThreadPool* pool) {
        auto* scale = static_cast<float*>(workspace);
        float* shift = scale + channels;
        for (int64_t i = 0; i < channels; ++i) {
          const double gamma = in[1] ? static_cast<double>(in[1].as<float>()[i]) : 1;
          const double beta = in[2] ? static_cast<double>(in[2].as<float>()[i]) : 0;
          const double s = gamma / std::sqrt(static_cast<double>(in[4].as<float>()[i]) + epsilon);
          scale[i] = static_cast<float>(s);
          shift[i] = static_cast<float>(beta - static_cast<double>(in[3].as<float>()[i]) * s);
        }
        kernels::ScaleShift run;
        run.rows = rows;
        run.channels = channels;
        run.x = in[0].as<float>();
        run.scale = scale;
        run.shift = shift;
        run.y = out[0].as<float>();
        runtime::cpu().scale_shift(run, pool);
      },
      static_cast<size_t>(channels) * 2 * sizeof(float));
}

}  // namespace ew::ops
