#include "runtime/kernels/hybrid_impl.h"
