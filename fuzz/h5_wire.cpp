// What the parent receives from the child that runs libhdf5, and what is made of such a tree: a
// model if it holds one, and the weights and optimizer of a fixed model in both layouts.
#include "formats/h5_wire.h"

#include <cstring>

#include "formats/json.h"
#include "formats/keras/compiled.h"
#include "formats/keras/import.h"
#include "formats/keras/keras_file.h"
#include "formats/keras/weights.h"
#include "targets.h"

namespace ew::fuzz {
namespace {

using namespace formats;

constexpr const char* kModel = R"({"class_name": "Sequential", "config": {"name": "s", "layers": [
  {"class_name": "InputLayer", "config": {"name": "in", "batch_shape": [null, 4, 4, 1]}},
  {"class_name": "Conv2D", "config": {"name": "conv2d", "filters": 2, "kernel_size": [3, 3]}},
  {"class_name": "BatchNormalization", "config": {"name": "batch_normalization"}},
  {"class_name": "Flatten", "config": {"name": "flatten"}},
  {"class_name": "Dense", "config": {"name": "dense", "units": 3}}]}})";

constexpr H5WireLimits kLimits{.max_bytes = 1 << 22, .max_objects = 20'000};

Result<H5Group> decode(Bytes bytes) {
  size_t at = 0;
  return read_h5_wire(
      [&](std::span<uint8_t> out) -> Status {
        if (bytes.size() - at < out.size()) return invalid_data("the stream is cut short");
        if (!out.empty()) std::memcpy(out.data(), bytes.data() + at, out.size());
        at += out.size();
        return {};
      },
      kLimits);
}

void read_into_fixed_model(const H5Group& root) {
  static const Config config = parse_json(kModel).value();
  static const ImportedModel model =
      import_architecture(config, ir::KerasGeneration::kKeras3).value();
  const H5Group* weights = root.find_group("model_weights");
  ir::Graph graph = model.graph;
  (void)read_h5_weights(graph, *model.tree, weights != nullptr ? *weights : root);
  (void)read_store_weights(graph, *model.tree, root);
  for (const char* name : {"Adam", "SGD", "Adafactor"}) {
    ir::CompiledState state;
    state.optimizer.set("class_name", name);
    state.optimizer.set("config", Config::map());
    if (const H5Group* slots = root.find_group("optimizer_weights")) {
      (void)read_h5_optimizer(*slots, graph, state);
    }
    for (const auto generation : {ir::KerasGeneration::kKeras2, ir::KerasGeneration::kKeras3}) {
      (void)read_store_optimizer(root, graph, generation, state);
    }
  }
  exercise(graph);
}

}  // namespace

void h5_wire(Bytes bytes) {
  const Result<H5Group> root = decode(bytes);
  if (!root.ok()) return;
  std::vector<uint8_t> again;
  const Status sent = write_h5_wire(*root, [&](Bytes part) -> Status {
    again.insert(again.end(), part.begin(), part.end());
    return {};
  });
  require(sent.ok(), "a tree that was received can be sent");
  const Result<H5Group> second = decode(again);
  require(second.ok() && *second == *root, "and is the same tree then");
  const Result<ir::Model> model = keras_model_of(*root);
  if (model.ok()) exercise(model->graph);
  read_into_fixed_model(*root);
}

}  // namespace ew::fuzz
