#define EW_INT8_TARGET portable
#include "runtime/kernels/int8/int8_portable_impl.h"

namespace ew::kernels::int8::portable {

extern const Int8Table kInt8Table;
const Int8Table kInt8Table = kPlainTable;

}  // namespace ew::kernels::int8::portable
