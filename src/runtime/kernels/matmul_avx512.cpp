#include "runtime/kernels/matmul_table.h"
