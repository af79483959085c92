#include "ir/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace ew::ir {

MemoryPlan plan_memory(std::span<const BufferLifetime> buffers, int64_t alignment) {
  const auto align = [&](int64_t n) { return (n + alignment - 1) / alignment * alignment; };
  MemoryPlan plan;
  plan.offsets.assign(buffers.size(), 0);

  int last_step = 0;
  for (const BufferLifetime& b : buffers) last_step = std::max(last_step, b.last);
  std::vector<int64_t> alive(static_cast<size_t>(last_step) + 2, 0);
  for (const BufferLifetime& b : buffers) {
    alive[static_cast<size_t>(b.first)] += align(b.bytes);
    alive[static_cast<size_t>(b.last) + 1] -= align(b.bytes);
  }
  int64_t now = 0;
  for (const int64_t change : alive) {
    now += change;
    plan.lower_bound_bytes = std::max(plan.lower_bound_bytes, now);
  }

  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return buffers[a].bytes != buffers[b].bytes ? buffers[a].bytes > buffers[b].bytes : a < b;
  });
  std::vector<size_t> placed;  // sorted by offset
  for (const size_t i : order) {
    const int64_t size = align(buffers[i].bytes);
    int64_t offset = 0;
    for (const size_t j : placed) {
      if (buffers[j].last < buffers[i].first || buffers[j].first > buffers[i].last) continue;
      if (plan.offsets[j] >= offset + size) break;
      offset = std::max(offset, plan.offsets[j] + align(buffers[j].bytes));
    }
    plan.offsets[i] = offset;
    plan.arena_bytes = std::max(plan.arena_bytes, offset + size);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), i,
                         [&](size_t a, size_t b) { return plan.offsets[a] < plan.offsets[b]; }),
        i);
  }
  return plan;
}

}  // namespace ew::ir
