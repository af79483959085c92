#include "base/cpu_features.h"
#include "runtime/kernels/built.h"
#include "runtime/kernels/hybrid.h"

namespace ew::kernels {

namespace portable {
extern const HybridTable kHybridTable;
}
#if defined(__x86_64__)
namespace avx2 {
extern const HybridTable kHybridTable;
}
namespace avx512 {
extern const HybridTable kHybridTable;
}
namespace vnni {
extern const HybridTable kHybridTable;
}
#endif

const HybridTable& hybrid_kernels(CpuTarget target, bool use_vnni) {
#if defined(__x86_64__)
  if constexpr (is_only(CpuTarget::kAvx512)) return vnni::kHybridTable;
  if constexpr (is_built(CpuTarget::kAvx512)) {
    if (target == CpuTarget::kAvx512) {
      return use_vnni && has_avx512_vnni() ? vnni::kHybridTable : avx512::kHybridTable;
    }
  }
  if constexpr (is_built(CpuTarget::kAvx2)) {
    const bool is_avx2 = target == CpuTarget::kAvx2 || target == CpuTarget::kAvxVnni;
    if (is_avx2 || is_only(CpuTarget::kAvx2)) return avx2::kHybridTable;
  }
#endif
  static_cast<void>(target);
  static_cast<void>(use_vnni);
  if constexpr (is_built(CpuTarget::kPortable)) return portable::kHybridTable;
}

}  // namespace ew::kernels
