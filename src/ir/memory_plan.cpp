#include "ir/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace ew::ir {
namespace {

using Order = std::vector<size_t>;

int64_t aligned(int64_t n, int64_t alignment) {
  return (n + alignment - 1) / alignment * alignment;
}

// Each buffer in turn at the lowest offset that is free for its whole life.
MemoryPlan place_in(const Order& order, std::span<const BufferLifetime> buffers,
                    int64_t alignment) {
  MemoryPlan plan;
  plan.offsets.assign(buffers.size(), 0);
  std::vector<size_t> placed;  // sorted by offset
  for (const size_t i : order) {
    const int64_t size = aligned(buffers[i].bytes, alignment);
    int64_t offset = 0;
    for (const size_t j : placed) {
      if (buffers[j].last < buffers[i].first || buffers[j].first > buffers[i].last) continue;
      if (plan.offsets[j] >= offset + size) break;
      offset = std::max(offset, plan.offsets[j] + aligned(buffers[j].bytes, alignment));
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

// Moves random buffers of the order; deterministic, and only while far from the bound.
MemoryPlan improve(MemoryPlan best, Order order, std::span<const BufferLifetime> buffers,
                   int64_t alignment, int64_t bound) {
  constexpr size_t kMostBuffers = 256;  // a try takes the square of it
  constexpr int kTries = 200;
  const auto is_far = [&] { return best.arena_bytes * 50 > bound * 51; };
  uint32_t state = 1;
  const auto random = [&](size_t n) {
    state = state * 1664525U + 1013904223U;
    return static_cast<size_t>(state >> 8) % n;
  };
  if (buffers.size() > kMostBuffers) return best;
  for (int i = 0; i < kTries && is_far(); ++i) {
    Order other = order;
    const size_t from = random(other.size());
    const size_t to = random(from + 1);
    std::rotate(other.begin() + static_cast<std::ptrdiff_t>(to),
                other.begin() + static_cast<std::ptrdiff_t>(from),
                other.begin() + static_cast<std::ptrdiff_t>(from) + 1);
    MemoryPlan plan = place_in(other, buffers, alignment);
    if (plan.arena_bytes > best.arena_bytes) continue;
    best = std::move(plan);
    order = std::move(other);
  }
  return best;
}

}  // namespace

int64_t lower_bound_bytes(std::span<const BufferLifetime> buffers, int64_t alignment) {
  int last_step = 0;
  for (const BufferLifetime& b : buffers) last_step = std::max(last_step, b.last);
  std::vector<int64_t> alive(static_cast<size_t>(last_step) + 2, 0);
  for (const BufferLifetime& b : buffers) {
    alive[static_cast<size_t>(b.first)] += aligned(b.bytes, alignment);
    alive[static_cast<size_t>(b.last) + 1] -= aligned(b.bytes, alignment);
  }
  int64_t now = 0;
  int64_t most = 0;
  for (const int64_t change : alive) {
    now += change;
    most = std::max(most, now);
  }
  return most;
}

MemoryPlan plan_memory(std::span<const BufferLifetime> buffers, int64_t alignment) {
  const int64_t bound = lower_bound_bytes(buffers, alignment);
  Order order(buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return buffers[a].bytes != buffers[b].bytes ? buffers[a].bytes > buffers[b].bytes : a < b;
  });
  MemoryPlan plan = improve(place_in(order, buffers, alignment), order, buffers, alignment, bound);
  plan.lower_bound_bytes = bound;
  return plan;
}

}  // namespace ew::ir
