#include "ir/memory_plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

namespace ew::ir {
namespace {

bool overlap(const MemoryPlan& plan, const std::vector<BufferLifetime>& buffers) {
  for (size_t i = 0; i < buffers.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const bool together =
          buffers[i].first <= buffers[j].last && buffers[j].first <= buffers[i].last;
      const bool apart = plan.offsets[i] + buffers[i].bytes <= plan.offsets[j] ||
                         plan.offsets[j] + buffers[j].bytes <= plan.offsets[i];
      if (together && !apart) return true;
    }
  }
  return false;
}

TEST_CASE("memory_plan: buffers that are alive together lie apart") {
  std::mt19937 rng(1);
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(rng);
  };
  for (int round = 0; round < 100; ++round) {
    std::vector<BufferLifetime> buffers;
    const int n = pick(0, 60);
    for (int i = 0; i < n; ++i) {
      const int first = pick(0, 30);
      buffers.push_back({pick(0, 3000), first, first + pick(0, 6)});
    }
    const MemoryPlan plan = plan_memory(buffers);
    REQUIRE(plan.offsets.size() == buffers.size());
    CHECK_FALSE(overlap(plan, buffers));
    CHECK(plan.arena_bytes >= plan.lower_bound_bytes);
    for (size_t i = 0; i < buffers.size(); ++i) {
      CHECK(plan.offsets[i] % 64 == 0);
      CHECK(plan.offsets[i] + buffers[i].bytes <= plan.arena_bytes);
    }
  }
}

// Values of a random net: each node reads the value before it and up to two others, mostly recent
// ones. `kind`: sizes that are equally likely, powers of two, or small multiples of them.
std::vector<BufferLifetime> random_net(std::mt19937& rng, int nodes, int kind) {
  const auto pick = [&](int low, int high) {
    return low + static_cast<int>(rng() % static_cast<uint32_t>(high - low + 1));
  };
  std::vector<BufferLifetime> buffers;
  for (int i = 0; i < nodes; ++i) {
    int64_t bytes = pick(1, 100'000);
    if (kind == 1) bytes = int64_t{64} << pick(0, 10);
    if (kind == 2) bytes = pick(1, 8) * (int64_t{1024} << pick(0, 4));
    buffers.push_back({bytes, i, i});
    if (i == 0) continue;
    buffers[static_cast<size_t>(i) - 1].last = i;
    for (int others = pick(0, 2); others > 0; --others) {
      const int back = pick(0, 3) == 0 ? pick(1, i) : pick(1, std::min(i, 6));
      buffers[static_cast<size_t>(i - back)].last = i;
    }
  }
  return buffers;
}

TEST_CASE("memory_plan: random nets need at most a tenth more than the bound") {
  std::mt19937 rng(1);
  for (int round = 0; round < 300; ++round) {
    const int nodes = 5 + round % 60;
    const std::vector<BufferLifetime> buffers = random_net(rng, nodes, round % 3);
    const MemoryPlan plan = plan_memory(buffers);
    CAPTURE(round);
    CHECK_FALSE(overlap(plan, buffers));
    CHECK(plan.arena_bytes * 10 <= plan.lower_bound_bytes * 11);
  }
}

TEST_CASE("memory_plan: another order where the largest first is in the way") {
  // Largest first takes 960 bytes: no hole below the later buffers is as large as they are.
  const std::vector<BufferLifetime> buffers = {{448, 0, 1}, {384, 1, 3}, {320, 2, 4},
                                               {128, 3, 5}, {256, 4, 6}, {512, 5, 7}};
  const MemoryPlan plan = plan_memory(buffers);
  CHECK_FALSE(overlap(plan, buffers));
  CHECK(plan.arena_bytes == plan.lower_bound_bytes);
}

TEST_CASE("memory_plan: the same buffers always lie at the same places") {
  std::vector<BufferLifetime> buffers;
  for (int i = 0; i < 40; ++i) buffers.push_back({100 + i * 37 % 1000, i / 2, i / 2 + i % 5});
  CHECK(plan_memory(buffers).offsets == plan_memory(buffers).offsets);
}

}  // namespace
}  // namespace ew::ir
