#pragma once
// The table of the NEON kernels of one target.

#include "runtime/kernels/int8/int8_neon_conv_impl.h"
#include "runtime/kernels/int8/int8_neon_depthwise_impl.h"
#include "runtime/kernels/int8/int8_neon_elements_impl.h"

namespace ew::kernels::int8::EW_INT8_TARGET {

extern const Int8Table kInt8Table;
const Int8Table kInt8Table{
    .name = kHasMatrix ? "neon-i8mm"
            : kHasDot  ? "neon-dotprod"
                       : "neon",
    .pack_version = 2,
    .has_bits = true,
    .plan_conv = plan_conv,
    .lanes = kLanes,
    .conv_channel = conv_channel,
    .conv_weight_bytes = conv_weight_bytes,
    .pack_conv = pack_conv,
    .conv = conv,
    .depthwise_lanes = depthwise_lanes,
    .depthwise_channel = depthwise_channel,
    .depthwise_weight_bytes = depthwise_weight_bytes,
    .pack_depthwise = pack_depthwise,
    .depthwise = depthwise,
    .add = add,
    .flip = flip,
    .fill = plain_fill,
    .sum_pixels = sum_pixels,
    .requantize = requantize,
    .max_pixels = max_pixels,
    .quantize = quantize,
    .dequantize = dequantize,
};

}  // namespace ew::kernels::int8::EW_INT8_TARGET
