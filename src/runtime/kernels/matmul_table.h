#pragma once
// Matrix products and dense convolutions: everything that is made of register tiles.

#include "runtime/kernels/built.h"
#include "runtime/kernels/conv2d_impl.h"
#include "runtime/kernels/conv2d_weights_impl.h"
#include "runtime/kernels/gemm_impl.h"
#include "runtime/kernels/halves_impl.h"
#include "runtime/kernels/tables.h"

namespace ew::kernels::EW_TARGET {

const GemmTable kGemmTable{kernel_of({"dense", "matmul", "simple_rnn", "lstm", "gru"}, gemm),
                           gemm_workspace_bytes,
                           gemm_packed_bytes,
                           gemm_pack,
                           {find_exact, narrow, widen}};
const ConvTable kConvTable{
    kernel_of({"conv"}, conv2d),
    kernel_of({"conv_input_grad", "conv_transpose"}, conv2d_grad_input),
    kernel_of({"conv_weight_grad"}, conv2d_grad_weights),
    kernel_of({"conv"}, conv2d_workspace_bytes),
    kernel_of({"conv_input_grad", "conv_transpose"}, conv2d_grad_input_workspace_bytes),
    kernel_of({"conv_weight_grad"}, conv2d_grad_weights_workspace_bytes),
    kernel_of({"conv"}, conv2d_packed_bytes),
    kernel_of({"conv"}, conv2d_pack),
    kernel_of({"conv"}, conv2d_packed_workspace_bytes),
    kernel_of({"conv"}, conv2d_takes_halves),
    kernel_of({"conv"}, conv2d_packed)};

}  // namespace ew::kernels::EW_TARGET
