#pragma once
// Runs one Keras layer through the importer, for tests of io facets.

#include <map>
#include <string>
#include <vector>

#include "base/config.h"
#include "ir/model.h"

namespace ew::testing {

/// A layer as a model file describes it, with one floating input.
struct LayerCase {
  std::string class_name = "";
  Config config = Config::map();
  ir::Tensor x = {};
  ir::KerasGeneration generation = ir::KerasGeneration::kKeras3;
  /// Weights by name ("kernel"); the others are drawn from [0.5, 1.5] by a fixed seed.
  std::map<std::string, ir::Tensor> weights = {};
  bool has_fixed_batch = false;  ///< the model's batch size is that of x
};

/// The layer's graph, its batch size open unless has_fixed_batch.
Result<ir::Graph> import_layer(const LayerCase& c);
/// Its output by the references. Fails the test on an error.
ir::Tensor run_layer(const LayerCase& c);
/// The message of the error with which the importer refuses the layer; "" if it does not.
std::string refusal(const LayerCase& c);

/// [N, spatial..., C] as [N, C, spatial...], and back.
ir::Tensor channels_first(const ir::Tensor& x);
ir::Tensor channels_last(const ir::Tensor& x);

/// A float32 tensor drawn from [-1, 1] by a fixed seed.
ir::Tensor random_tensor(const Shape& shape);

}  // namespace ew::testing
