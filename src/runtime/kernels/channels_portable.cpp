#include "runtime/kernels/channels_table.h"
