#pragma once
// A model as a Keras file will hold it: which layers, in which order, with which weights.

#include <string>
#include <vector>

#include "formats/keras/layer_words.h"
#include "formats/save.h"
#include "ir/model.h"

namespace ew::formats {

struct WrittenWeight {
  std::string path;                  ///< "dense/kernel"
  ir::ValueId value = ir::kNoValue;  ///< in the model's graph
};

struct WrittenLayer {
  std::string name;
  std::vector<WrittenWeight> weights;  ///< trainable first
};

struct WrittenModel {
  Config config;  ///< {"class_name", "config"}
  std::vector<WrittenLayer> layers;
  /// Graph value names that changed because a nested model was unfolded: old prefix, new prefix.
  std::vector<std::pair<std::string, std::string>> renamed;
  Portability portability;
};

/// Models inside models are unfolded, words and calls rewritten for `target`. A Keras 2 model for
/// kKeras2 stays as it is. Errors: kUnsupported for a model that did not come from Keras,
/// kInvalidData if the graph lacks a weight of the architecture.
Result<WrittenModel> written_model(const ir::Model& model, KerasVersion target);

}  // namespace ew::formats
