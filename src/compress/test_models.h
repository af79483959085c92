#pragma once
// Small models for the tests of this module.

#include "ir/model.h"

namespace ew::compress::testing {

/// How the architecture writes its calls.
enum class Dialect { kSequential, kKeras2, kKeras3 };

/// Input [None, 8, 8, 3], then conv 3x3 (8, no bias), batch norm, relu, depthwise 3x3 (bias), batch
/// norm, relu6, dropout, conv 1x1 (12, no bias), relu, global average, dense (5), softmax. Weights
/// are random; layers are named conv, bn1, relu, dw, bn2, relu6, drop, point, relu2, mean, out.
ir::Model small_cnn(Dialect dialect = Dialect::kKeras3, uint64_t seed = 1);

/// Two branches that meet: conv -> bn -> add(., x) -> relu -> dense on [None, 6, 6, 4].
ir::Model residual(uint64_t seed = 1);

/// Normal numbers of that shape.
ir::Tensor samples(Shape shape, uint64_t seed);

/// The outputs of a graph.
std::vector<ir::Tensor> run(const ir::Graph& graph, const ir::Tensor& x);

/// Largest absolute difference of two float tensors.
double max_difference(const ir::Tensor& a, const ir::Tensor& b);

}  // namespace ew::compress::testing
