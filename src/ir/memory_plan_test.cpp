#include "ir/memory_plan.h"

#include <doctest/doctest.h>

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
