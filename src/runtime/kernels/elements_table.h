#pragma once
// Kernels over flat arrays and rows.

#include "runtime/kernels/built.h"
#include "runtime/kernels/elementwise_impl.h"
#include "runtime/kernels/tables.h"
#include "runtime/kernels/unary_impl.h"

namespace ew::kernels::EW_TARGET {

const ElementwiseTable kElementwiseTable{
    .add = kernel_of({"add"}, add),
    .mul = kernel_of({"mul"}, mul),
    .affine = kernel_of({"add", "mul"}, affine),
    .add_scaled = kernel_of({kEveryOperator}, add_scaled),
    .clamp = kernel_of({"add", "mul", "relu", "relu6", "simple_rnn", "lstm", "gru"}, clamp_values),
    .clamp_grad = kernel_of({"relu_grad", "relu6_grad"}, clamp_grad),
    .exp = kernel_of({"exp"}, exp_values),
    .sigmoid = kernel_of({"sigmoid", "simple_rnn", "lstm", "gru"}, sigmoid_values),
    .tanh = kernel_of({"tanh", "simple_rnn", "lstm", "gru"}, tanh_values),
    .sigmoid_grad = kernel_of({"sigmoid_grad"}, sigmoid_grad),
    .tanh_grad = kernel_of({"tanh_grad"}, tanh_grad),
    .keep_random = kernel_of({"noise"}, keep_random),
    .unary = kernel_of({"abs", "clip", "gelu_tanh", "hard_sigmoid", "hard_silu", "leaky_relu",
                        "neg", "silu", "sqrt", "square", "simple_rnn", "lstm", "gru"},
                       unary),
    .binary = kernel_of({"div", "maximum", "minimum", "sub"}, binary),
    .mul_row = kernel_of({"mul"}, mul_row),
    .add_row = kernel_of({"add", "conv_transpose"}, add_row),
    .softmax = kernel_of({"softmax"}, softmax),
    .log_softmax = kernel_of({kEveryOperator}, log_softmax),
    .softmax_grad = kernel_of({kEveryOperator}, softmax_grad),
    .sum = kernel_of({kEveryOperator}, sum_values),
    .sum_of_squares = kernel_of({kEveryOperator}, sum_of_squares),
};

}  // namespace ew::kernels::EW_TARGET
