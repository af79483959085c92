#include "ir/memory_plan.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

namespace ew::ir {
namespace {

using Order = std::vector<size_t>;

int64_t aligned(int64_t n, int64_t alignment) {
  return (n + alignment - 1) / alignment * alignment;
}

// Places buffers in a given order, each at the lowest offset that is free for its whole life.
class Placer {
 public:
  Placer(std::span<const BufferLifetime> buffers, int64_t alignment)
      : offsets(buffers.size()), rivals_(buffers.size()) {
    for (const BufferLifetime& b : buffers) sizes.push_back(aligned(b.bytes, alignment));
    Order by_first(buffers.size());
    std::iota(by_first.begin(), by_first.end(), size_t{0});
    std::sort(by_first.begin(), by_first.end(), [&](size_t a, size_t b) {
      return buffers[a].first != buffers[b].first ? buffers[a].first < buffers[b].first : a < b;
    });
    Order alive;
    for (const size_t i : by_first) {
      std::erase_if(alive, [&](size_t j) { return buffers[j].last < buffers[i].first; });
      if (sizes[i] == 0) continue;
      for (const size_t j : alive) {
        rivals_[i].push_back(j);
        rivals_[j].push_back(i);
        rival_count += 2;
      }
      alive.push_back(i);
    }
  }

  /// The arena's size; `offsets` has the places.
  int64_t place(const Order& order) {
    std::fill(offsets.begin(), offsets.end(), -1);
    int64_t arena = 0;
    for (const size_t i : order) {
      taken_.clear();
      for (const size_t j : rivals_[i]) {
        if (offsets[j] >= 0) taken_.emplace_back(offsets[j], offsets[j] + sizes[j]);
      }
      std::sort(taken_.begin(), taken_.end());
      int64_t offset = 0;
      for (const auto& [begin, end] : taken_) {
        if (begin >= offset + sizes[i]) break;
        offset = std::max(offset, end);
      }
      offsets[i] = offset;
      arena = std::max(arena, offset + sizes[i]);
    }
    return arena;
  }

  std::vector<int64_t> sizes;
  std::vector<int64_t> offsets;
  int64_t rival_count = 0;

 private:
  std::vector<Order> rivals_;  // per buffer: those alive at the same time
  std::vector<std::pair<int64_t, int64_t>> taken_;
};

// Orders from which the search starts: largest first, most bytes times steps first, longest first.
std::vector<Order> first_orders(std::span<const BufferLifetime> buffers, const Placer& placer) {
  Order plain(buffers.size());
  std::iota(plain.begin(), plain.end(), size_t{0});
  std::vector<Order> orders(3, plain);
  for (size_t kind = 0; kind < orders.size(); ++kind) {
    const auto key = [&](size_t i) {
      const int64_t steps = int64_t{buffers[i].last} - buffers[i].first + 1;
      const int64_t size = placer.sizes[i];
      return std::array{kind == 0 ? size : kind == 1 ? size * steps : steps, size};
    };
    std::sort(orders[kind].begin(), orders[kind].end(),
              [&](size_t a, size_t b) { return key(a) != key(b) ? key(a) > key(b) : a < b; });
  }
  return orders;
}

// Moves buffers of the order, mostly those that end where the arena ends, to earlier places.
// Deterministic.
struct Search {
  Placer& placer;
  int64_t enough;  // near enough to the bound to stop
  int64_t nearly;  // likewise, after many tries
  int64_t best = 0;
  std::vector<int64_t> best_offsets = {};
  uint32_t state = 1;

  size_t random(size_t n) {
    state = state * 1664525U + 1013904223U;
    return static_cast<size_t>(state >> 8) % n;
  }
  bool take(int64_t arena) {
    if (!best_offsets.empty() && arena > best) return false;
    best = arena;
    best_offsets = placer.offsets;
    return true;
  }
  size_t topmost(const Order& order) {
    size_t found = 0;
    size_t count = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      const size_t b = order[i];
      if (best_offsets[b] + placer.sizes[b] == best && random(++count) == 0) found = i;
    }
    return found;
  }
  void improve(Order order, int64_t tries) {
    constexpr int64_t kThorough = 100;
    for (int64_t i = 0; i < tries && best > (i < kThorough ? enough : nearly); ++i) {
      Order other = order;
      const size_t from = random(4) == 0 ? random(other.size()) : topmost(order);
      const auto at = [&](size_t n) { return other.begin() + static_cast<std::ptrdiff_t>(n); };
      std::rotate(at(random(from + 1)), at(from), at(from + 1));
      if (take(placer.place(other))) order = std::move(other);
    }
  }
};

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
  constexpr int64_t kMostTries = 2000;
  constexpr int64_t kMostWork = 4'000'000;
  const int64_t bound = lower_bound_bytes(buffers, alignment);
  Placer placer(buffers, alignment);
  Search search{.placer = placer, .enough = bound + bound / 50, .nearly = bound + bound * 2 / 25};
  Order best_order;
  for (Order& order : first_orders(buffers, placer)) {
    if (!search.best_offsets.empty() && search.best <= search.enough) break;
    const int64_t before = search.best;
    const bool is_first = search.best_offsets.empty();
    if (search.take(placer.place(order)) && (is_first || search.best < before))
      best_order = std::move(order);
  }
  const int64_t work = placer.rival_count + static_cast<int64_t>(buffers.size()) + 1;
  search.improve(std::move(best_order), std::min(kMostTries, kMostWork / work));
  return {.offsets = std::move(search.best_offsets),
          .arena_bytes = search.best,
          .lower_bound_bytes = bound};
}

}  // namespace ew::ir
