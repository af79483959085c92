#include "runtime/kernels/int8/int8_kernels.h"

#include "base/cpu_features.h"
#include "runtime/kernels/built.h"

namespace ew::kernels::int8 {

namespace portable {
extern const Int8Table kInt8Table;
}
#if defined(__x86_64__)
namespace avx2 {
extern const Int8Table kInt8Table;
}
namespace avxvnni {
extern const Int8Table kInt8Table;
}
namespace vnni {
extern const Int8Table kInt8Table;
}
#endif
#if defined(__aarch64__)
namespace neon {
extern const Int8Table kInt8Table;
}
namespace neon_dotprod {
extern const Int8Table kInt8Table;
}
namespace neon_i8mm {
extern const Int8Table kInt8Table;
}
#endif

const Int8Table& int8_kernels(CpuTarget target) {
#if defined(__x86_64__)
  if constexpr (is_built(CpuTarget::kAvx512)) {
    const bool has_vnni = has_avx512_vnni();
    if (is_only(CpuTarget::kAvx512) || (target == CpuTarget::kAvx512 && has_vnni)) {
      return vnni::kInt8Table;
    }
  }
  if constexpr (is_built(CpuTarget::kAvxVnni)) {
    if (target == CpuTarget::kAvxVnni) return avxvnni::kInt8Table;
  }
  if constexpr (is_built(CpuTarget::kAvx2)) {
    const bool may = target != CpuTarget::kPortable && is_supported(CpuTarget::kAvx2);
    if (is_only(CpuTarget::kAvx2) || may) return avx2::kInt8Table;
  }
#endif
#if defined(__aarch64__)
  switch (target) {
    case CpuTarget::kNeonI8mm:
      return neon_i8mm::kInt8Table;
    case CpuTarget::kNeonDotprod:
      return neon_dotprod::kInt8Table;
    case CpuTarget::kNeon:
      return neon::kInt8Table;
    default:
      break;
  }
#endif
  static_cast<void>(target);
  if constexpr (is_built(CpuTarget::kPortable)) return portable::kInt8Table;
}

}  // namespace ew::kernels::int8
