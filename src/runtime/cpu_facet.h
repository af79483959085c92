#pragma once
// What CPU facets share: the kernels of this machine and shapes as kernels take them.

#include "ops/window.h"
#include "runtime/kernel.h"
#include "runtime/kernels/kernels.h"

namespace ew::runtime {

/// The micro-kernels of the best instruction set this machine has.
const kernels::KernelTable& cpu();

/// The same for a layer of so many output channels: what fills half of a 16-lane vector at most is
/// as fast or faster in vectors of 8 lanes, and has the same bits.
const kernels::KernelTable& cpu_for(int64_t channels);

/// The target of a table that one of these returned.
kernels::CpuTarget target_of(const kernels::KernelTable& table);

/// Whether every input and output that is there is float32 and real-valued.
bool is_f32(const KernelContext& c);

/// The fused activation of a node that has the clamp attributes (ops/int8.h).
kernels::Clamp clamp_of(const ir::Node& node);

/// Threads a workspace must serve: kernels split their work into fixed chunks.
inline constexpr int kMaxThreads = 16;

/// Two spatial dimensions (or one, as a row of height 1) as the kernels' window.
kernels::Window2d window2d(std::span<const ops::WindowDim> dims);

/// The workspace as bytes, at an offset.
inline void* offset(void* workspace, size_t bytes) {
  return static_cast<uint8_t*>(workspace) + bytes;
}
inline size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace ew::runtime
