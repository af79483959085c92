#pragma once
// The compiled state in the words of a Keras file.

#include <optional>
#include <string>
#include <vector>

#include "formats/keras/layer_words.h"
#include "formats/keras/optimizer_slots.h"
#include "ir/model.h"

namespace ew::formats {

struct WrittenTraining {
  Config config;  ///< training_config of `.h5`, compile_config of `.keras`
  /// The layout for the optimizer's variables; none if they are not to be written.
  std::optional<SlotOrder> slots;
  std::vector<std::string> notes;
};

/// For an `.h5`. An optimizer that only one generation knows is written for that one, with a note.
WrittenTraining h5_training(const ir::CompiledState& state, KerasVersion target,
                            ir::KerasGeneration own);

/// For a `.keras` of Keras 3.
WrittenTraining keras_training(const ir::CompiledState& state);

}  // namespace ew::formats
