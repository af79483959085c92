#pragma once
// The values of a model's weights from the trees of Keras' HDF5 files.

#include "formats/h5_tree.h"
#include "formats/keras/layer_tree.h"
#include "ir/graph.h"

namespace ew::formats {

/// Elements of all numeric datasets together.
int64_t stored_elements(const H5Group& group);

/// A list of names that may be split over `attribute`0, `attribute`1, ...; error kNotFound.
Result<std::vector<std::string>> read_names(const H5Group& group, const std::string& attribute);

/// `.h5`: the group "model_weights", or the root of a weights-only file. Layers are found by name;
/// if the names differ, those with weights are taken in order, as Keras does.
/// Errors: kInvalidData names layer, weight, expected and found shape.
Status read_h5_weights(ir::Graph& graph, const LayerNode& model, const H5Group& weights);

/// `.keras` and `.weights.h5`: the root that holds "layers/...". Errors as above.
Status read_store_weights(ir::Graph& graph, const LayerNode& model, const H5Group& root);

/// A dataset as a tensor of `dtype`; the bits of bfloat16 that Keras stores as uint16 are kept.
ir::Tensor to_tensor(const H5Dataset& dataset, DType dtype);

}  // namespace ew::formats
