#pragma once
// The instruction sets the micro-kernels are compiled for, and which of them this machine has.

namespace ew::kernels {

enum class CpuTarget { kPortable, kAvx2, kAvx512 };

const char* to_string(CpuTarget target);

/// True if this machine can run kernels compiled for `target`.
bool is_supported(CpuTarget target);

/// The best supported target. The environment variable EDGEWISE_CPU (portable, avx2 or avx512)
/// lowers the choice for tests; a target this machine lacks, or another value, is ignored.
CpuTarget detect_cpu();

}  // namespace ew::kernels
