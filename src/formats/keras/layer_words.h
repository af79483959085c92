#pragma once
// Layer configurations in words that a Keras generation understands.

#include <string>
#include <vector>

#include "base/config.h"
#include "formats/save.h"

namespace ew::formats {

/// What stands in a model's way to one generation: "only Keras 3 knows ...".
struct Portability {
  std::vector<std::string> only_keras2;
  std::vector<std::string> only_keras3;
  std::vector<std::string> neither;  ///< of an `.h5`; a `.keras` holds it
};

/// A layer's config rewritten for `target`: dtype policies as names, functions as names, no key
/// that only the other generation knows unless it matters (then `portability` says so).
Config layer_words(const std::string& class_name, const Config& config, KerasVersion target,
                   const std::string& layer, Portability& portability);

}  // namespace ew::formats
