#pragma once
// Edits of a Keras architecture ({"class_name", "config": {"layers": [...]}}), in every dialect of
// inbound_nodes, models inside models included.

#include <string>

#include "base/config.h"

namespace ew::compress {

/// The layer entry at `path` ("conv2d", nested "block/conv2d"), or null.
Config* find_layer(Config& model, const std::string& path);

/// Whether `path` can be removed: it has exactly one call with one input, which is `input` (a layer
/// of the same model with one call), and `input` has no other user, nor is it an output itself.
bool can_bypass(Config& model, const std::string& path, const std::string& input);

/// Removes the layer and lets its users read `input` instead. Requires can_bypass().
void bypass_layer(Config& model, const std::string& path, const std::string& input);

}  // namespace ew::compress
