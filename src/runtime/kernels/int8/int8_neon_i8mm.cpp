#define EW_INT8_TARGET neon_i8mm
#include "runtime/kernels/int8/int8_neon_table_impl.h"
