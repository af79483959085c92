#include "runtime/kernels/cpu.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

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

}  // namespace
}  // namespace ew::kernels
