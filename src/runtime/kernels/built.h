#pragma once
// Which instruction sets a build has kernels for: all that its compiler knows, or with
// -DEW_CPU=name only that one.

#include "runtime/kernels/cpu.h"

namespace ew::kernels {

constexpr bool is_only([[maybe_unused]] CpuTarget target) {
#ifdef EW_CPU
  return target == CpuTarget::EW_CPU;
#else
  return false;
#endif
}

constexpr bool is_built([[maybe_unused]] CpuTarget target) {
#ifdef EW_CPU
  return is_only(target);
#else
  return true;
#endif
}

}  // namespace ew::kernels
