#pragma once
// From a Keras model's architecture to a graph. Weights are zero (or their plain initial value)
// until weights.h reads them.

#include <memory>

#include "base/config.h"
#include "formats/keras/layer_tree.h"
#include "ir/model.h"

namespace ew::formats {

struct ImportLimits {
  /// Of all weights together. Readers set it to what the file holds, so that a few bytes of
  /// configuration cannot ask for gigabytes.
  int64_t max_elements = int64_t{1} << 31;
  int max_depth = 32;           ///< models inside models
  int64_t max_calls = 200'000;  ///< of layers, after unfolding shared models
  /// Layers and references met while unfolding, called or not.
  int64_t max_steps = 2'000'000;
  int64_t max_constants = int64_t{1} << 26;  ///< elements of constants together
};

struct ImportedModel {
  ir::Graph graph;
  std::unique_ptr<LayerNode> tree;  ///< the model; its children are the layers
};

/// `model` is {"class_name": "Sequential" | "Functional" | "Model", "config": ...}. Graph inputs
/// carry the names of the input layers, outputs those of their layers; parameters stand in Keras'
/// order of model.weights. Errors name the layer: kUnsupported (a class this build has not, with
/// the nearest known name), kInvalidData, kResourceLimit.
Result<ImportedModel> import_architecture(const Config& model, ir::KerasGeneration generation,
                                          const ImportLimits& limits = {});

}  // namespace ew::formats
