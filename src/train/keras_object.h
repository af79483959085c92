#pragma once
// How Keras writes an optimizer, schedule, loss, metric, regularizer or constraint into a config:
// as a word ("adam", "mse") or as {"class_name": "Adam", "config": {...}}. Both are reduced to a
// class name and a map of arguments.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"

namespace ew::train {

struct KerasObject {
  std::string name;  ///< class or function name without package prefix ("Custom>Adam" -> "Adam")
  Config config;     ///< arguments by keyword, a map (empty for a word)
};

/// Reads either form. `what` names the thing in messages ("optimizer").
/// Errors: kInvalidData if `config` is neither a string nor a map with a class name.
Result<KerasObject> read_keras_object(const Config& config, std::string_view what);

/// {"class_name": name, "config": config}.
Config keras_object(std::string_view name, Config config);

/// The error for a name that is not in `known`: "optimizer: unknown name 'adaam', did you mean
/// 'adam'?" (kInvalidArgument).
Error unknown_name(std::string_view what, std::string_view name,
                   std::span<const std::string> known);

/// "CategoricalCrossentropy" -> "categorical_crossentropy", as Keras names objects by default.
std::string snake_case(std::string_view name);

/// Lower case without underscores: class names and their snake case fold to the same key.
std::string fold_name(std::string_view name);

}  // namespace ew::train
