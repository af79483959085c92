#pragma once
// Pooling, NHWC: x [batch, in_h, in_w, channels] -> y [batch, out_h, out_w, channels].

#include "runtime/kernels/common.h"

namespace ew::kernels {

struct PoolShape {
  Window2d window{};
  int64_t batch = 1;
  int64_t channels = 1;
  bool count_padding = false;  // average only: divide by the whole window, not by its valid part
};

}  // namespace ew::kernels
