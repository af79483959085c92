#pragma once
// The instruction sets the micro-kernels are compiled for, which of them this machine has, and the
// floating-point mode they should run in.

#include <cstdint>

namespace ew::kernels {

/// kAvxVnni has kernels of its own for bytes; the others are those of kAvx2.
enum class CpuTarget { kPortable, kAvx2, kAvxVnni, kAvx512, kNeon, kNeonDotprod, kNeonI8mm };

/// All of them, the best of each architecture first.
inline constexpr CpuTarget kCpuTargets[] = {
    CpuTarget::kAvx512,      CpuTarget::kAvxVnni, CpuTarget::kAvx2,    CpuTarget::kNeonI8mm,
    CpuTarget::kNeonDotprod, CpuTarget::kNeon,    CpuTarget::kPortable};

const char* to_string(CpuTarget target);

/// True if this machine can run kernels compiled for `target`.
bool is_supported(CpuTarget target);

/// The best supported target. The environment variable EDGEWISE_CPU (portable, avx2, avx-vnni,
/// avx512, neon, neon-dotprod or neon-i8mm) lowers the choice for tests; a target this machine
/// lacks, or another value, is ignored.
CpuTarget detect_cpu();

/// Floating-point control word of the calling thread.
uint64_t float_mode();
void set_float_mode(uint64_t mode);

/// While it lives, subnormal numbers count as zero on this thread, and in the pool threads that
/// kernels called from it use. A step whose gradients fade out into subnormals is else up to 100
/// times slower.
class FlushSubnormals {
 public:
  FlushSubnormals();
  ~FlushSubnormals();
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
  uint64_t before_;
};

}  // namespace ew::kernels
