#pragma once
// Which instructions of x86-64 the processor has and the system lets programs use.
//
// The C library asked the processor when the program started. Asking again, as the compiler's
// built-in does, takes a microsecond on the processor itself, and a hundred where a virtual machine
// answers each question.

#if defined(__x86_64__)

// glibc's header is C in places that clang does not take for C++; small builds may be linked with
// another library.
#if __has_include(<sys/platform/x86.h>) && !defined(__clang__) && !defined(EW_SMALL)
#include <sys/platform/x86.h>
#define EW_CPU_HAS(glibc, compiler) (CPU_FEATURE_ACTIVE(glibc) != 0)
#else
#define EW_CPU_HAS(glibc, compiler) (__builtin_cpu_supports(compiler) != 0)
#endif

namespace ew {

/// With the product without carries, which came soon after.
inline bool has_sse42() { return EW_CPU_HAS(SSE4_2, "sse4.2") && EW_CPU_HAS(PCLMULQDQ, "pclmul"); }
/// With fused multiply-adds and conversions of halves, which came with it or before.
inline bool has_avx2() {
  return EW_CPU_HAS(AVX2, "avx2") && EW_CPU_HAS(FMA, "fma") && EW_CPU_HAS(F16C, "f16c");
}
/// Of bytes, of 64-bit numbers and of short vectors, too.
inline bool has_avx512() {
  return EW_CPU_HAS(AVX512F, "avx512f") && EW_CPU_HAS(AVX512BW, "avx512bw") &&
         EW_CPU_HAS(AVX512DQ, "avx512dq") && EW_CPU_HAS(AVX512VL, "avx512vl");
}
inline bool has_avx512_vnni() { return EW_CPU_HAS(AVX512_VNNI, "avx512vnni"); }

}  // namespace ew

#undef EW_CPU_HAS
#endif
