#include "runtime/kernels/cpu.h"

#include <cstdlib>
#include <cstring>

#include "base/cpu_features.h"
#include "runtime/kernels/built.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <xmmintrin.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace ew::kernels {

const char* to_string(CpuTarget target) {
  switch (target) {
    case CpuTarget::kAvx512:
      return "avx512";
    case CpuTarget::kAvxVnni:
      return "avx-vnni";
    case CpuTarget::kAvx2:
      return "avx2";
    case CpuTarget::kNeon:
      return "neon";
    case CpuTarget::kNeonDotprod:
      return "neon-dotprod";
    case CpuTarget::kNeonI8mm:
      return "neon-i8mm";
    case CpuTarget::kPortable:
      break;
  }
  return "portable";
}

namespace {

#if defined(__x86_64__)
// Not every compiler's __builtin_cpu_supports() knows its name.
bool has_avx_vnni() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  constexpr unsigned kAvxVnniBit = 1U << 4;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kAvxVnniBit) != 0;
}
#endif

}  // namespace

bool is_supported(CpuTarget target) {
  if (!is_built(target)) return false;
#if defined(__x86_64__)
  if (target == CpuTarget::kAvx512) {
    return has_avx512() && (!is_only(target) || has_avx512_vnni());
  }
  if (target == CpuTarget::kAvx2) return has_avx2();
  if (target == CpuTarget::kAvxVnni) return has_avx2() && has_avx_vnni();
#elif defined(__aarch64__)
  const bool has_dotprod = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
  if (target == CpuTarget::kNeon) return true;
  if (target == CpuTarget::kNeonDotprod) return has_dotprod;
  if (target == CpuTarget::kNeonI8mm) {
    return has_dotprod && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
  }
#endif
  return target == CpuTarget::kPortable;
}

CpuTarget detect_cpu() {
  const char* wanted = std::getenv("EDGEWISE_CPU");
  for (const CpuTarget target : kCpuTargets) {
    if (wanted != nullptr && std::strcmp(wanted, to_string(target)) == 0 && is_supported(target)) {
      return target;
    }
  }
  for (const CpuTarget target : kCpuTargets) {
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
