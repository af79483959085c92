#pragma once
// The layers of a model and the weights they own, as Keras nests them. Files store weights in an
// order or under a path that follows from this tree.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace ew::formats {

struct LayerNode {
  struct Weight {
    std::string name;  ///< "kernel"
    ir::ValueId value = ir::kNoValue;
    bool is_trainable = true;  ///< as declared; a frozen layer does not change it
  };

  std::string name;          ///< Keras' name; for parts of a layer their attribute ("cell")
  std::string attribute;     ///< of a part, else ""
  std::string class_name;    ///< "" for parts that only hold weights
  std::string path;          ///< "block/dense", unique
  std::string store_path;    ///< in `.keras`: "layers/functional/layers/dense"
  bool is_trainable = true;  ///< false if this layer or one around it is frozen
  int calls = 0;             ///< how often the layer has been called
  std::map<std::string, int> container_names;  ///< counters for add_layer()
  std::vector<Weight> weights;                 ///< own ones, in order of declaration
  std::vector<std::unique_ptr<LayerNode>> children;

  /// The part with this attribute path ("forward_layer/cell"), made where there is none.
  LayerNode& part(const std::string& attributes);
  /// A new layer of a container (a model), named in `.keras` by its class and a counter.
  LayerNode& add_layer(const std::string& layer_name, const std::string& layer_class);
  const Weight* find(const std::string& weight_name) const;

  /// `.keras`: own weights, trainable first; the position is the number under "vars".
  std::vector<const Weight*> stored_weights() const;
  /// This layer's weights and those below, layer by layer (Keras' layer.weights).
  std::vector<ir::ValueId> all_weights() const;
  /// The order in `.h5`: all trainable ones first, then the others.
  std::vector<ir::ValueId> file_order() const;

 private:
  void collect(bool want_trainable, std::vector<ir::ValueId>& out) const;
};

}  // namespace ew::formats
