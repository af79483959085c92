#pragma once
// The usual depthwise shapes (int8_columns_vnni.cpp), which int8_depthwise_vnni.cpp sends there.

#include "runtime/kernels/int8/int8_kernels.h"

namespace ew::kernels::int8::vnni {

bool runs_by_columns(const DepthwiseShape&);
int64_t column_lanes(const DepthwiseShape&);
int64_t column_channel(const DepthwiseShape&, int64_t lane);
size_t column_weight_bytes(const DepthwiseShape&);
void pack_columns(const DepthwiseShape&, const int8_t* w, int8_t* packed);
void run_columns(const DepthwiseShape&, const int8_t* weights, const Requant&, const uint8_t* x,
                 uint8_t* y);

}  // namespace ew::kernels::int8::vnni
