#pragma once
// The parts of a KernelTable, defined once per target: <part>_<target>.cpp includes <part>_table.h.

#include "runtime/kernels/kernels.h"

#define EW_DECLARE_TABLES(target)                  \
  namespace target {                               \
  extern const GemmTable kGemmTable;               \
  extern const ConvTable kConvTable;               \
  extern const DepthwiseTable kDepthwiseTable;     \
  extern const NormTable kNormTable;               \
  extern const PoolTable kPoolTable;               \
  extern const ElementwiseTable kElementwiseTable; \
  extern const SignalTable kSignalTable;           \
  }

namespace ew::kernels {
EW_DECLARE_TABLES(portable)
EW_DECLARE_TABLES(avx2)
EW_DECLARE_TABLES(avx512)
}  // namespace ew::kernels

#undef EW_DECLARE_TABLES
