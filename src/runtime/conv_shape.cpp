#include "runtime/conv_shape.h"

namespace ew::runtime {
namespace {

std::optional<kernels::Window2d> window_of(const ir::Node& node, const Shape& x,
                                           std::span<const int64_t> kernel) {
  if (kernel.size() > 2) return std::nullopt;
  const auto dims = ops::window_dims(ops::spatial_of(x), kernel, node.attrs);
  if (!dims.ok()) return std::nullopt;
  return window2d(*dims);
}

std::span<const int64_t> kernel_of(const Shape& w) {
  return std::span(w.dims()).first(static_cast<size_t>(w.rank() - 2));
}

}  // namespace

std::optional<kernels::Conv2dShape> conv_geometry(const ir::Node& node, const Shape& x,
                                                  const Shape& w) {
  const auto window = window_of(node, x, kernel_of(w));
  if (!window) return std::nullopt;
  kernels::Conv2dShape shape;
  shape.window = *window;
  shape.batch = x[0];
  shape.in_c = x[-1];
  shape.out_c = w[-1];
  shape.groups = node.attrs.integer("groups");
  return shape;
}

std::optional<kernels::Conv2dShape> conv_shape(const KernelContext& c, const Shape& x,
                                               const Shape& w) {
  return is_f32(c) ? conv_geometry(c.node, x, w) : std::nullopt;
}

std::optional<kernels::DepthwiseShape> depthwise_geometry(const ir::Node& node, const Shape& x,
                                                          const Shape& w) {
  const auto window = window_of(node, x, kernel_of(w));
  if (!window) return std::nullopt;
  kernels::DepthwiseShape shape;
  shape.window = *window;
  shape.batch = x[0];
  shape.channels = x[-1];
  shape.multiplier = w[-1];
  return shape;
}

std::optional<kernels::DepthwiseShape> depthwise_shape(const KernelContext& c, const Shape& x,
                                                       const Shape& w) {
  return is_f32(c) ? depthwise_geometry(c.node, x, w) : std::nullopt;
}

std::optional<kernels::PoolShape> pool_shape(const KernelContext& c, const Shape& x) {
  if (!is_f32(c)) return std::nullopt;
  const auto window = window_of(c.node, x, c.node.attrs.ints("pool"));
  if (!window) return std::nullopt;
  kernels::PoolShape shape;
  shape.window = *window;
  shape.batch = x[0];
  shape.channels = x[-1];
  return shape;
}

Shape input_shape(const KernelContext& c, int64_t batch, int64_t channels) {
  return ops::shape_around(batch, c.node.attrs.ints("input_lengths"), channels);
}

Shape kernel_shape(const KernelContext& c, int64_t a, int64_t b) {
  Shape shape(c.node.attrs.ints("kernel"));
  shape.dims().push_back(a);
  shape.dims().push_back(b);
  return shape;
}

}  // namespace ew::runtime
