#include "formats/keras/layer_tree.h"

#include <algorithm>

#include "formats/keras/names.h"

namespace ew::formats {

LayerNode& LayerNode::part(const std::string& attributes) {
  if (attributes.empty()) return *this;
  LayerNode* node = this;
  for (const std::string& step : split(attributes, '/')) {
    const auto found = std::find_if(node->children.begin(), node->children.end(),
                                    [&](const auto& child) { return child->attribute == step; });
    if (found != node->children.end()) {
      node = found->get();
      continue;
    }
    auto child = std::make_unique<LayerNode>();
    child->name = step;
    child->attribute = step;
    child->path = node->path + "/" + step;
    child->store_path = node->store_path + "/" + step;
    child->is_trainable = node->is_trainable;
    node->children.push_back(std::move(child));
    node = node->children.back().get();
  }
  return *node;
}

LayerNode& LayerNode::add_layer(const std::string& layer_name, const std::string& layer_class) {
  // Python's name of the class, which Keras exports as GroupQueryAttention.
  const bool is_renamed = layer_class == "GroupQueryAttention";
  const std::string stem = to_snake_case(is_renamed ? "GroupedQueryAttention" : layer_class);
  const int same = container_names[stem]++;
  auto child = std::make_unique<LayerNode>();
  child->name = layer_name;
  child->class_name = layer_class;
  child->path = path.empty() ? layer_name : path + "/" + layer_name;
  child->store_path = (store_path.empty() ? "layers/" : store_path + "/layers/") +
                      (same == 0 ? stem : str(stem, "_", same));
  child->is_trainable = is_trainable;
  children.push_back(std::move(child));
  return *children.back();
}

const LayerNode::Weight* LayerNode::find(const std::string& weight_name) const {
  for (const Weight& weight : weights) {
    if (weight.name == weight_name) return &weight;
  }
  return nullptr;
}

std::vector<const LayerNode::Weight*> LayerNode::stored_weights() const {
  std::vector<const Weight*> out;
  for (const bool trainable : {true, false}) {
    for (const Weight& weight : weights) {
      if (weight.is_trainable == trainable) out.push_back(&weight);
    }
  }
  return out;
}

std::vector<ir::ValueId> LayerNode::all_weights() const {
  std::vector<ir::ValueId> out;
  for (const Weight* weight : stored_weights()) out.push_back(weight->value);
  for (const auto& child : children) {
    const std::vector<ir::ValueId> below = child->all_weights();
    out.insert(out.end(), below.begin(), below.end());
  }
  return out;
}

void LayerNode::collect(bool want_trainable, std::vector<ir::ValueId>& out) const {
  for (const Weight* weight : stored_weights()) {
    if ((weight->is_trainable && is_trainable) == want_trainable) out.push_back(weight->value);
  }
  for (const auto& child : children) child->collect(want_trainable, out);
}

std::vector<ir::ValueId> LayerNode::file_order() const {
  std::vector<ir::ValueId> out;
  collect(true, out);
  collect(false, out);
  return out;
}

}  // namespace ew::formats
