#include "runtime/kernels/cpu.h"

#include <cstdlib>
#include <cstring>

namespace ew::kernels {

const char* to_string(CpuTarget target) {
  switch (target) {
    case CpuTarget::kAvx512:
      return "avx512";
    case CpuTarget::kAvx2:
      return "avx2";
    case CpuTarget::kPortable:
      break;
  }
  return "portable";
}

bool is_supported(CpuTarget target) {
#if defined(__x86_64__)
  if (target == CpuTarget::kAvx512) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  }
  if (target == CpuTarget::kAvx2) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  }
#endif
  return target == CpuTarget::kPortable;
}

CpuTarget detect_cpu() {
  constexpr CpuTarget kBestFirst[] = {CpuTarget::kAvx512, CpuTarget::kAvx2, CpuTarget::kPortable};
  const char* wanted = std::getenv("EDGEWISE_CPU");
  for (const CpuTarget target : kBestFirst) {
    if (wanted != nullptr && std::strcmp(wanted, to_string(target)) == 0 && is_supported(target)) {
      return target;
    }
  }
  for (const CpuTarget target : kBestFirst) {
    if (is_supported(target)) return target;
  }
  return CpuTarget::kPortable;
}

}  // namespace ew::kernels
