#define EW_INT8_TARGET avx2
#include "runtime/kernels/int8/int8_portable_impl.h"

namespace ew::kernels::int8::avx2 {

extern const Int8Table kInt8Table;
const Int8Table kInt8Table = kPlainTable;

}  // namespace ew::kernels::int8::avx2
