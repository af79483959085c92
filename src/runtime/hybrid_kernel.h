#pragma once
// CPU kernels of products of float inputs with int8 weights (ops/hybrid.h): the bits of the
// reference. Null where the reference has to do: weights that change between runs, groups, three
// spatial dimensions, sums too long for int32.

#include "runtime/kernel.h"
#include "runtime/kernels/hybrid.h"

namespace ew::runtime {

/// Whether a node has a real input and int8 weights.
bool is_hybrid(const KernelContext& c);

std::unique_ptr<Kernel> hybrid_conv(const KernelContext& c, const kernels::HybridTable& table);
std::unique_ptr<Kernel> hybrid_dense(const KernelContext& c, const kernels::HybridTable& table);
std::unique_ptr<Kernel> hybrid_depthwise(const KernelContext& c, const kernels::HybridTable& table);

/// With the best kernels of this machine.
std::unique_ptr<Kernel> hybrid_conv(const KernelContext& c);
std::unique_ptr<Kernel> hybrid_dense(const KernelContext& c);
std::unique_ptr<Kernel> hybrid_depthwise(const KernelContext& c);

}  // namespace ew::runtime
