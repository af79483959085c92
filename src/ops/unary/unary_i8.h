#pragma once
// The integer side of the elementwise rows.

#include <string_view>

#include "ops/int8.h"

namespace ew::ops {

/// The integer reference of the row of that name, or null.
ir::ReferenceI8Fn unary_reference_i8(std::string_view name);
/// What it does to the quantisation: kNone for rows without an integer definition.
QuantRule unary_quant_rule(std::string_view name);
/// The rows that take int16.
void relu_i16(ConstTensorView in, TensorView out);
void sigmoid_i16(ConstTensorView in, TensorView out);
void tanh_i16(ConstTensorView in, TensorView out);
/// All 256 outputs of a row that has an integer definition, for kernels and emitters.
int8::Table unary_table(const OpDef& op, const TensorType& x, const TensorType& y,
                        const Attrs& attrs);

}  // namespace ew::ops
