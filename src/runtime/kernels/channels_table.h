#pragma once
// Kernels that are vectorised over the channels of NHWC.

#include "runtime/kernels/built.h"
#include "runtime/kernels/depthwise_grad_impl.h"
#include "runtime/kernels/depthwise_rows_impl.h"
#include "runtime/kernels/norm_impl.h"
#include "runtime/kernels/pool_impl.h"
#include "runtime/kernels/tables.h"

namespace ew::kernels::EW_TARGET {

const DepthwiseTable kDepthwiseTable{
    kernel_of({"depthwise_conv"}, has_shared_rows),
    kernel_of({"depthwise_conv"}, depthwise_any),
    kernel_of({"depthwise_conv_input_grad"}, depthwise_grad_input),
    kernel_of({"depthwise_conv_weight_grad"}, depthwise_grad_weights),
    kernel_of({"depthwise_conv"}, depthwise_any_workspace_bytes),
    kernel_of({"depthwise_conv_input_grad"}, depthwise_grad_input_workspace_bytes),
    kernel_of({"depthwise_conv_weight_grad"}, depthwise_grad_weights_workspace_bytes)};
const NormTable kNormTable{
    kernel_of({"batch_norm_train"}, batch_norm),
    kernel_of({"batch_norm_train_grad"}, batch_norm_grad),
    kernel_of({"batch_norm_train", "batch_norm_train_grad"}, batch_norm_workspace_bytes),
    kernel_of({"batch_norm"}, scale_shift),
    kernel_of({"reduce_sum"}, column_sums),
    kernel_of({"reduce_sum"}, column_sums_workspace_bytes)};
const PoolTable kPoolTable{kernel_of({"max_pool", "max_pool_grad"}, max_pool),
                           kernel_of({"max_pool_grad"}, max_pool_grad),
                           kernel_of({"avg_pool"}, average_pool),
                           kernel_of({"avg_pool_grad"}, average_pool_grad),
                           kernel_of({"reduce_mean"}, global_average_pool),
                           kernel_of({kEveryOperator}, global_average_pool_grad)};

}  // namespace ew::kernels::EW_TARGET
