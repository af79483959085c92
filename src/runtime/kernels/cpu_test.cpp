#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "runtime/kernels/kernels.h"

namespace ew::kernels {
namespace {

TEST_CASE("detect_cpu: the environment lowers the choice, nonsense is ignored") {
  const char* before = std::getenv("EDGEWISE_CPU");
  const std::string kept = before == nullptr ? "" : before;
  unsetenv("EDGEWISE_CPU");
  const CpuTarget best = detect_cpu();
  CHECK(is_supported(best));
  setenv("EDGEWISE_CPU", "portable", 1);
  CHECK(detect_cpu() == CpuTarget::kPortable);
  setenv("EDGEWISE_CPU", "abacus", 1);
  CHECK(detect_cpu() == best);
  unsetenv("EDGEWISE_CPU");
  if (before != nullptr) setenv("EDGEWISE_CPU", kept.c_str(), 1);
}

TEST_CASE("detect_cpu: every supported target can be asked for by its name") {
  const char* before = std::getenv("EDGEWISE_CPU");
  const std::string kept = before == nullptr ? "" : before;
  for (const CpuTarget target : kCpuTargets) {
    if (!is_supported(target)) continue;
    setenv("EDGEWISE_CPU", to_string(target), 1);
    CHECK(detect_cpu() == target);
  }
  unsetenv("EDGEWISE_CPU");
  if (before != nullptr) setenv("EDGEWISE_CPU", kept.c_str(), 1);
}

TEST_CASE("FlushSubnormals: subnormal results are zero inside, also in the pool, and not after") {
  ThreadPool pool(3);
  const std::vector<float> tiny(100'000, 1e-30F);
  std::vector<float> product(tiny.size());
  const auto n = static_cast<int64_t>(tiny.size());
  for (const CpuTarget target : {CpuTarget::kPortable, detect_cpu()}) {
    const auto count_subnormal = [&] {
      kernels(target).affine(n, tiny.data(), 1e-10F, 0, product.data(), &pool);
      return std::count_if(product.begin(), product.end(), [](float x) { return x > 0; });
    };
    {
      const FlushSubnormals flush;
      CHECK(count_subnormal() == 0);
    }
    CHECK(count_subnormal() == n);
  }
}

}  // namespace
}  // namespace ew::kernels
