#pragma once
// Where each buffer lies in one arena.

#include <cstdint>
#include <span>
#include <vector>

namespace ew::ir {

/// A buffer that is alive from step `first` to step `last`, both included.
struct BufferLifetime {
  int64_t bytes = 0;
  int first = 0;
  int last = 0;
};

struct MemoryPlan {
  std::vector<int64_t> offsets;  ///< one per buffer, multiples of the alignment
  int64_t arena_bytes = 0;
  int64_t lower_bound_bytes = 0;
};

/// Most bytes alive at any one step, each buffer rounded up to the alignment.
int64_t lower_bound_bytes(std::span<const BufferLifetime> buffers, int64_t alignment = 64);

/// Places buffers so that those alive together do not overlap: in some order, each at the lowest
/// offset free for its whole life (greedy by size; Pisarchyk and Lee, arXiv 2001.03288). Orders are
/// searched until one is within 2 % of the bound, later 8 %, or enough have been tried.
MemoryPlan plan_memory(std::span<const BufferLifetime> buffers, int64_t alignment = 64);

}  // namespace ew::ir
