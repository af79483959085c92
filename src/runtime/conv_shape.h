#pragma once
// Convolution nodes as the kernels' shapes.

#include <optional>

#include "runtime/cpu_facet.h"

namespace ew::runtime {

/// The shape of a convolution of x [N, spatial..., C] by w [kernel..., C / groups, O], from a node
/// with the attributes of a window and `groups`; none if the kernels cannot run it (three spatial
/// dimensions, other dtypes).
std::optional<kernels::Conv2dShape> conv_shape(const KernelContext& c, const Shape& x,
                                               const Shape& w);

/// The same whatever the dtypes are.
std::optional<kernels::Conv2dShape> conv_geometry(const ir::Node& node, const Shape& x,
                                                  const Shape& w);
std::optional<kernels::DepthwiseShape> depthwise_geometry(const ir::Node& node, const Shape& x,
                                                          const Shape& w);

/// The same for a depthwise convolution with w [kernel..., C, M].
std::optional<kernels::DepthwiseShape> depthwise_shape(const KernelContext& c, const Shape& x,
                                                       const Shape& w);

/// Pooling of x by a node with the attributes `pool` and those of a window.
std::optional<kernels::PoolShape> pool_shape(const KernelContext& c, const Shape& x);

/// [batch, lengths..., channels]: the input shape that a gradient node names by its attribute
/// input_lengths.
Shape input_shape(const KernelContext& c, int64_t batch, int64_t channels);
/// [kernel..., a, b] from the attribute `kernel`.
Shape kernel_shape(const KernelContext& c, int64_t a, int64_t b);

}  // namespace ew::runtime
