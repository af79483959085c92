#pragma once
// Matrix products and dense convolutions: everything that is made of register tiles.

#include "runtime/kernels/conv2d_impl.h"
#include "runtime/kernels/conv2d_weights_impl.h"
#include "runtime/kernels/gemm_impl.h"
#include "runtime/kernels/halves_impl.h"
#include "runtime/kernels/tables.h"

namespace ew::kernels::EW_TARGET {

const GemmTable kGemmTable{gemm,
                           gemm_workspace_bytes,
                           gemm_packed_bytes,
                           gemm_pack,
                           {find_exact, narrow, widen, gemm_halves}};
const ConvTable kConvTable{conv2d,
                           conv2d_grad_input,
                           conv2d_grad_weights,
                           conv2d_workspace_bytes,
                           conv2d_grad_input_workspace_bytes,
                           conv2d_grad_weights_workspace_bytes,
                           conv2d_packed_bytes,
                           conv2d_pack,
                           conv2d_packed_workspace_bytes,
                           conv2d_packed};

}  // namespace ew::kernels::EW_TARGET
