#pragma once
// Kernels that are vectorised over the channels of NHWC.

#include "runtime/kernels/depthwise_grad_impl.h"
#include "runtime/kernels/depthwise_rows_impl.h"
#include "runtime/kernels/norm_impl.h"
#include "runtime/kernels/pool_impl.h"
#include "runtime/kernels/tables.h"

namespace ew::kernels::EW_TARGET {

const DepthwiseTable kDepthwiseTable{depthwise_any,
                                     depthwise_grad_input,
                                     depthwise_grad_weights,
                                     depthwise_any_workspace_bytes,
                                     depthwise_grad_input_workspace_bytes,
                                     depthwise_grad_weights_workspace_bytes};
const NormTable kNormTable{batch_norm,  batch_norm_grad, batch_norm_workspace_bytes,
                           scale_shift, column_sums,     column_sums_workspace_bytes};
const PoolTable kPoolTable{max_pool,          max_pool_grad,       average_pool,
                           average_pool_grad, global_average_pool, global_average_pool_grad};

}  // namespace ew::kernels::EW_TARGET
