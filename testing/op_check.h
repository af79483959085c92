#pragma once
// Tests of operators: every facet an operator has is checked against its reference, from one table
// of cases.

#include <map>
#include <string>
#include <vector>

#include "ops/ops.h"

namespace ew::testing {

/// Stands for an absent optional input.
inline const Shape kAbsent{-2};

struct OpCase {
  std::string why = "";
  std::vector<Shape> in = {};
  ir::Attrs attrs = {};
  /// Inputs are uniform in [low, range]; low defaults to -range.
  double range = 1;
  double low = -1e30;
  /// Inputs given instead of drawn, by index (indices, masks, steps).
  std::map<size_t, ir::Tensor> given = {};
  /// Multiplies every tolerance: for functions that amplify rounding.
  double slack = 1;
  bool has_gradient = true;  ///< false: none, or not differentiable where the case lies
};

/// For every case: infer() accepts the shapes, also with an open first dimension; the reference
/// writes every element; float32 and float16 agree with float64; gradients (through the training
/// form, if there is one) with central differences; CPU kernels, with and without packed weights
/// and threads, with the reference. Failures print the case and its seed.
void check_op(const ir::OpDef& op, const std::vector<OpCase>& cases);

/// A float32 tensor.
ir::Tensor tensor(const Shape& shape, const std::vector<float>& values);
/// The outputs of one operator by its reference. Fails the test if infer() refuses.
std::vector<ir::Tensor> run(const ir::OpDef& op, const std::vector<ir::Tensor>& inputs,
                            const ir::Attrs& attrs = {});
/// The outputs of its training form in training step `step`, by the references.
std::vector<ir::Tensor> run_training(const ir::OpDef& op, const std::vector<ir::Tensor>& inputs,
                                     const ir::Attrs& attrs = {}, int64_t step = 0);
/// Whether `got` has as many elements as `expected`, each within `tolerance`; prints both if not.
bool all_near(const ir::Tensor& got, const std::vector<float>& expected, double tolerance = 1e-6);
/// Output shapes for float32 inputs of those shapes (kAbsent allowed), or infer()'s error.
Result<std::vector<Shape>> infer_shapes(const ir::OpDef& op, const std::vector<Shape>& in,
                                        const ir::Attrs& attrs = {});

}  // namespace ew::testing
