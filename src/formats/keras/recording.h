#pragma once
// A model's architecture as plain calls of plain layers: models inside models unfolded. The writers
// start from it.

#include <memory>
#include <string>
#include <vector>

#include "formats/keras/import.h"

namespace ew::formats {

/// Output `tensor` of call `call` of layer `layer` (an index into Recording::layers).
struct RecordedTensor {
  size_t layer = 0;
  size_t call = 0;
  size_t tensor = 0;
};

/// Arguments with {"tensor": i} standing for refs[i], as in nodes.h.
struct RecordedCall {
  Config args = Config::list();
  Config kwargs = Config::map();
  std::vector<RecordedTensor> refs;
  std::vector<ir::TensorType> outputs;
  std::vector<ir::ValueId> masks;  ///< of the inputs; kNoValue: no mask
};

struct RecordedLayer {
  std::string path;  ///< "dense"; of an unfolded model "block/dense"
  std::string class_name;
  Config entry;                     ///< as the file has it, {"class_name", "config", ...}
  const LayerNode* node = nullptr;  ///< null for an input
  std::vector<RecordedCall> calls;  ///< one without arguments for an input
};

struct Recording {
  std::vector<RecordedLayer> layers;  ///< in order of their first call
  std::vector<RecordedTensor> inputs;
  std::vector<RecordedTensor> outputs;
  bool is_chain = true;  ///< every model in it is Sequential
  std::string name;      ///< of the model
  ImportedModel model;   ///< zero weights; owns the layer nodes
};

/// Errors as import_architecture().
Result<Recording> record_architecture(const Config& model, ir::KerasGeneration generation);

/// The layers that the outputs depend on, in the order in which both Keras generations list them
/// when they load a functional model: by decreasing depth, then by traversal from the outputs.
std::vector<size_t> keras_order(const Recording& recording);

}  // namespace ew::formats
