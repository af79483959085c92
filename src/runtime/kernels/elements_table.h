#pragma once
// Kernels over flat arrays and rows.

#include "runtime/kernels/elementwise_impl.h"
#include "runtime/kernels/tables.h"
#include "runtime/kernels/unary_impl.h"

namespace ew::kernels::EW_TARGET {

const ElementwiseTable kElementwiseTable{
    .add = add,
    .mul = mul,
    .affine = affine,
    .add_scaled = add_scaled,
    .clamp = clamp_values,
    .clamp_grad = clamp_grad,
    .exp = exp_values,
    .sigmoid = sigmoid_values,
    .tanh = tanh_values,
    .sigmoid_grad = sigmoid_grad,
    .tanh_grad = tanh_grad,
    .keep_random = keep_random,
    .unary = unary,
    .binary = binary,
    .mul_row = mul_row,
    .add_row = add_row,
    .softmax = softmax,
    .log_softmax = log_softmax,
    .softmax_grad = softmax_grad,
    .sum = sum_values,
    .sum_of_squares = sum_of_squares,
};

}  // namespace ew::kernels::EW_TARGET
