#include "runtime/kernels/kernels.h"

#include "runtime/kernels/built.h"
#include "runtime/kernels/tables.h"

namespace ew::kernels {

#define EW_RETURN_TABLE(target)                                                                   \
  static const KernelTable table{                                                                 \
      target::kGemmTable, target::kConvTable,        target::kDepthwiseTable, target::kNormTable, \
      target::kPoolTable, target::kElementwiseTable, target::kSignalTable};                       \
  return table

const KernelTable& kernels(CpuTarget target) {
#if defined(__x86_64__)
  if constexpr (is_built(CpuTarget::kAvx512)) {
    if (target == CpuTarget::kAvx512 || is_only(CpuTarget::kAvx512)) {
      EW_RETURN_TABLE(avx512);
    }
  }
  if constexpr (is_built(CpuTarget::kAvx2)) {
    if (target == CpuTarget::kAvx2 || target == CpuTarget::kAvxVnni || is_only(CpuTarget::kAvx2)) {
      EW_RETURN_TABLE(avx2);
    }
  }
#endif
  static_cast<void>(target);
  if constexpr (is_built(CpuTarget::kPortable)) {
    EW_RETURN_TABLE(portable);
  }
}

}  // namespace ew::kernels
