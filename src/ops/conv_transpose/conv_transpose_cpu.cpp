// A transposed convolution is the input gradient of the convolution with the same window.
#include "runtime/conv_shape.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> conv_transpose_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> conv_transpose_cpu(const runtime::KernelContext& c) {
  const Shape& w = c.in[1]->shape;  // [kernel..., O, C]
  if (!runtime::is_f32(c) || w.rank() > 4) return nullptr;
  const auto dims = transposed_window_dims(
      spatial_of(c.in[0]->shape), std::span(w.dims()).first(static_cast<size_t>(w.rank() - 2)),
      c.node.attrs.ints("output_padding"), c.node.attrs);
  if (!dims.ok()) return nullptr;
  kernels::Conv2dShape shape;
  shape.window = runtime::window2d(*dims);
  shape.batch = c.in[0]->shape[0];
  shape.in_c = w[-2];
  shape.out_c = w[-1];
  const int64_t rows = c.out[0].shape.num_elements() / std::max<int64_t>(shape.in_c, 1);
  const size_t bytes =
      runtime::cpu().conv2d_grad_input_workspace_bytes(shape, runtime::kMaxThreads);
  return runtime::make_kernel(
      [shape, rows](ConstViews in, Views out, void* workspace, ThreadPool* pool) {
        float* y = out[0].as<float>();
        runtime::cpu().conv2d_grad_input(shape, in[0].as<float>(), in[1].as<float>(), y, workspace,
                                         pool);
        if (in.size() > 2 && in[2]) {
          runtime::cpu().add_row(rows, shape.in_c, y, in[2].as<float>(), {}, y, pool);
        }
      },
      bytes);
}

}  // namespace ew::ops
