#define EW_INT8_TARGET neon
#include "runtime/kernels/int8/int8_neon_table_impl.h"
