#pragma once
// The calls of a layer in a functional model's configuration ("inbound_nodes"), in every dialect:
// nested lists (Keras 2 and before), {"args", "kwargs"} with __keras_tensor__ (Keras 3).

#include <functional>
#include <string>
#include <vector>

#include "base/config.h"

namespace ew::formats {

/// Output `tensor` of call `node` of `layer`.
struct TensorRef {
  std::string layer;
  int64_t node = 0;
  int64_t tensor = 0;
};

/// One call. In `args` (a list) and `kwargs` (a map) every tensor stands as {"tensor": i}, an index
/// into `refs`; those of `args` come first.
struct LayerCall {
  Config args = Config::list();
  Config kwargs = Config::map();
  std::vector<TensorRef> refs;
  bool is_list_dialect = false;
};

/// `is_layer` tells names of layers from other strings in the list dialect's keyword arguments.
Result<std::vector<LayerCall>> parse_inbound_nodes(
    const Config& inbound, const std::function<bool(const std::string&)>& is_layer);

/// "input_layers" and "output_layers": ["a", 0, 0], a list of such, or a map (in order of its
/// keys, as Keras flattens it). `names`, if not null, receives the map's keys, else "".
Result<std::vector<TensorRef>> parse_model_ends(const Config& ends,
                                                std::vector<std::string>* names);

}  // namespace ew::formats
