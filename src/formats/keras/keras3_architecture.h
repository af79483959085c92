#pragma once
// A model's architecture as `.keras` files of Keras 3 hold it.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "formats/keras/import.h"

namespace ew::formats {

/// Weights of the tree's own (zero) graph to those of the model.
using StoredWeights = std::map<ir::ValueId, ir::ValueId>;

struct Keras3Architecture {
  Config config;        ///< config.json without compile_config
  ImportedModel model;  ///< the tree that tells the paths of the weights
  StoredWeights stored;
  std::vector<std::string> notes;
  std::vector<std::pair<std::string, std::string>> renamed;  ///< as in written_model.h
};

/// A Keras 3 model keeps its configuration; a Keras 2 model is translated, models inside it
/// unfolded. Errors as written_model().
Result<Keras3Architecture> keras3_architecture(const ir::Model& model);

}  // namespace ew::formats
