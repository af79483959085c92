#include "runtime/kernels/elements_table.h"
