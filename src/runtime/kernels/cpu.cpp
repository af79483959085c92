#include "runtime/kernels/cpu.h"

#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

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
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c");
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

uint64_t float_mode() {
#if defined(__x86_64__)
  return _mm_getcsr();
#elif defined(__aarch64__)
  uint64_t mode = 0;
  asm volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
#else
  return 0;
#endif
}

void set_float_mode(uint64_t mode) {
#if defined(__x86_64__)
  _mm_setcsr(static_cast<unsigned>(mode));
#elif defined(__aarch64__)
  asm volatile("msr fpcr, %0" : : "r"(mode));
#else
  static_cast<void>(mode);
#endif
}

FlushSubnormals::FlushSubnormals() : before_(float_mode()) {
#if defined(__x86_64__)
  constexpr uint64_t kFlushToZero = 0x8000;
  constexpr uint64_t kSubnormalsAreZero = 0x40;
  set_float_mode(before_ | kFlushToZero | kSubnormalsAreZero);
#elif defined(__aarch64__)
  constexpr uint64_t kFlushToZero = uint64_t{1} << 24;
  set_float_mode(before_ | kFlushToZero);
#endif
}

FlushSubnormals::~FlushSubnormals() { set_float_mode(before_); }

}  // namespace ew::kernels
