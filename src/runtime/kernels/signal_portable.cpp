#include "runtime/kernels/signal_table.h"
