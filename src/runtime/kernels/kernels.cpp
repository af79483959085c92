#include "runtime/kernels/kernels.h"

#include "runtime/kernels/tables.h"

namespace ew::kernels {

const KernelTable& kernels(CpuTarget target) {
  static const KernelTable portable_table{portable::kGemmTable,      portable::kConvTable,
                                          portable::kDepthwiseTable, portable::kNormTable,
                                          portable::kPoolTable,      portable::kElementwiseTable,
                                          portable::kSignalTable};
#if defined(__x86_64__)
  static const KernelTable avx2_table{avx2::kGemmTable,  avx2::kConvTable, avx2::kDepthwiseTable,
                                      avx2::kNormTable,  avx2::kPoolTable, avx2::kElementwiseTable,
                                      avx2::kSignalTable};
  static const KernelTable avx512_table{
      avx512::kGemmTable, avx512::kConvTable,        avx512::kDepthwiseTable, avx512::kNormTable,
      avx512::kPoolTable, avx512::kElementwiseTable, avx512::kSignalTable};
  if (target == CpuTarget::kAvx512) return avx512_table;
  if (target == CpuTarget::kAvx2) return avx2_table;
#endif
  static_cast<void>(target);
  return portable_table;
}

}  // namespace ew::kernels
