#include "formats/keras/weights.h"

#include <algorithm>
#include <cstring>

namespace ew::formats {
namespace {

Status assign(ir::Graph& graph, ir::ValueId id, const H5Dataset& dataset, const std::string& where,
              const std::string& file_name) {
  ir::Value& value = graph.value(id);
  const std::string& wanted = value.info->name;
  if (dataset.value.is_string || dataset.value.shape != value.type.shape) {
    return invalid_data(where, ": weight '", wanted, "' expects shape ", value.type.shape,
                        ", the file's '", file_name, "' is ", dataset.value.describe());
  }
  value.data = to_tensor(dataset, value.type.dtype);
  return {};
}

struct FileLayer {
  std::string name;
  const H5Group* group = nullptr;
  std::vector<std::string> weight_names;
};

Result<std::vector<FileLayer>> layers_with_weights(const H5Group& weights) {
  EW_TRY(const std::vector<std::string> names, read_names(weights, "layer_names"));
  std::vector<FileLayer> out;
  for (const std::string& name : names) {
    const H5Group* group = weights.find_group(name);
    if (group == nullptr) return invalid_data("layer_names lists '", name, "', which has no group");
    Result<std::vector<std::string>> weight_names = read_names(*group, "weight_names");
    if (!weight_names.ok()) return at(str("layer '", name, "'"), weight_names.error());
    if (!weight_names->empty()) out.push_back({name, group, std::move(*weight_names)});
  }
  return out;
}

Status read_layer(ir::Graph& graph, const LayerNode& layer, const FileLayer& file) {
  const std::string where = str("layer '", layer.name, "'");
  const std::vector<ir::ValueId> wanted = layer.file_order();
  if (wanted.size() != file.weight_names.size()) {
    std::vector<std::string> names;
    for (const ir::ValueId id : wanted) names.push_back(graph.value(id).info->name);
    return invalid_data(where, ": expected ", wanted.size(), " weights (", join(names, ", "),
                        "), the file has ", file.weight_names.size());
  }
  for (size_t i = 0; i < wanted.size(); ++i) {
    const H5Dataset* dataset = file.group->find_dataset(file.weight_names[i]);
    if (dataset == nullptr) {
      return invalid_data(where, ": the file lists weight '", file.weight_names[i],
                          "' but does not hold it");
    }
    EW_TRY_VOID(assign(graph, wanted[i], *dataset, where, file.weight_names[i]));
  }
  return {};
}

// `.keras` of the two generations spell some attributes differently.
const H5Dataset* find_stored(const H5Group& root, const std::string& path) {
  if (const H5Dataset* dataset = root.find_dataset(path)) return dataset;
  std::string older;  // Keras 2.12: _layer_checkpoint_dependencies/dense
  for (const std::string& name : split(path, '/')) {
    if (!older.empty()) older += '/';
    older += name == "layers" ? "_layer_checkpoint_dependencies" : name;
  }
  if (const H5Dataset* dataset = root.find_dataset(older)) return dataset;
  // Keras 2: multi_head_attention/_query_dense
  const std::vector<std::string> names = split(path, '/');
  for (size_t i = 2; i + 2 < names.size(); ++i) {
    std::vector<std::string> changed = names;
    changed[i] = "_" + changed[i];
    if (const H5Dataset* dataset = root.find_dataset(join(changed, "/"))) return dataset;
  }
  return nullptr;
}

}  // namespace

int64_t stored_elements(const H5Group& group) {
  int64_t total = 0;
  for (const H5Dataset& dataset : group.datasets) {
    if (!dataset.value.is_string) total += dataset.value.shape.num_elements();
  }
  for (const H5Group& child : group.groups) total += stored_elements(child);
  return total;
}

Result<std::vector<std::string>> read_names(const H5Group& group, const std::string& attribute) {
  if (const H5Value* whole = group.find_attribute(attribute)) return whole->as_string_list();
  std::vector<std::string> names;
  size_t part = 0;
  while (const H5Value* chunk = group.find_attribute(str(attribute, part))) {
    EW_TRY(const std::vector<std::string> more, chunk->as_string_list());
    names.insert(names.end(), more.begin(), more.end());
    ++part;
  }
  if (part == 0) return make_error(ErrorCode::kNotFound, "no attribute '", attribute, "'");
  return names;
}

ir::Tensor to_tensor(const H5Dataset& dataset, DType dtype) {
  const H5Value& value = dataset.value;
  ir::Tensor out(dtype, value.shape);
  if (out.empty()) return out;
  DType from = value.dtype;
  for (const H5Attribute& attribute : dataset.attributes) {
    if (attribute.name == "dtype" && from == DType::kU16 && attribute.value.is_string &&
        attribute.value.strings == std::vector<std::string>{"bfloat16"}) {
      from = DType::kBF16;
    }
  }
  convert_elements(from, value.bytes.data(), dtype, out.mutable_data(), out.size());
  return out;
}

Status read_h5_weights(ir::Graph& graph, const LayerNode& model, const H5Group& weights) {
  EW_TRY(const std::vector<FileLayer> files, layers_with_weights(weights));
  std::vector<const LayerNode*> wanted;
  for (const auto& layer : model.children) {
    if (!layer->all_weights().empty()) wanted.push_back(layer.get());
  }
  const auto file_named = [&](const std::string& name) -> const FileLayer* {
    const auto found =
        std::find_if(files.begin(), files.end(), [&](const auto& f) { return f.name == name; });
    return found == files.end() ? nullptr : &*found;
  };
  const bool same_names = std::all_of(wanted.begin(), wanted.end(), [&](const LayerNode* layer) {
    return file_named(layer->name) != nullptr;
  });
  if (wanted.size() != files.size()) {
    for (const LayerNode* layer : wanted) {
      if (file_named(layer->name) == nullptr) {
        return invalid_data("layer '", layer->name, "': the file holds no weights for it (",
                            files.size(), " layers with weights, expected ", wanted.size(), ")");
      }
    }
    return invalid_data("the file holds weights for ", files.size(), " layers, the model has ",
                        wanted.size());
  }
  for (size_t i = 0; i < wanted.size(); ++i) {
    EW_TRY_VOID(
        read_layer(graph, *wanted[i], same_names ? *file_named(wanted[i]->name) : files[i]));
  }
  return {};
}

Status read_store_weights(ir::Graph& graph, const LayerNode& model, const H5Group& root) {
  const std::vector<const LayerNode::Weight*> stored = model.stored_weights();
  for (const LayerNode::Weight* weight : stored) {
    const std::string& path = graph.value(weight->value).info->store_path;
    const H5Dataset* dataset = find_stored(root, path);
    const std::string where = str("layer '", model.path, "'");
    if (dataset == nullptr) {
      return invalid_data(where, ": weight '", weight->name, "' is not in the file (expected at ",
                          path, ")");
    }
    EW_TRY_VOID(assign(graph, weight->value, *dataset, where, path));
  }
  for (const auto& child : model.children) {
    EW_TRY_VOID(read_store_weights(graph, *child, root));
  }
  return {};
}

}  // namespace ew::formats
