#pragma once
// The walk over an architecture; internal to the Keras importer.

#include <map>
#include <string>
#include <vector>

#include "formats/keras/import.h"
#include "formats/keras/layer.h"
#include "formats/keras/nodes.h"
#include "formats/keras/recording.h"

namespace ew::formats {

/// A tensor and, for the recording, who made it: an index into the importer's list of origins.
struct TrackedTensor : KerasTensor {
  int origin = -1;

  TrackedTensor() = default;
  TrackedTensor(const KerasTensor& tensor) : KerasTensor(tensor) {}  // NOLINT: implicit on purpose
};

/// What a layer is called with, tensors already resolved.
struct CallArguments {
  std::vector<TrackedTensor> inputs;
  std::vector<std::pair<std::string, KerasTensor>> keyword_tensors;
  Config call = Config::map();
  // As the file has them, for the recording: {"tensor": i} is the tensor of origins[i].
  Config args = Config::list();
  Config kwargs = Config::map();
  std::vector<int> origins;
};

class Importer {
 public:
  Importer(ir::Graph& graph, ir::KerasGeneration generation, const ImportLimits& limits)
      : builder(graph), generation_(generation), limits_(limits) {}

  /// The whole model: makes the graph's inputs and outputs.
  Status import_model(const Config& model, LayerNode& root);

  /// One call of a layer or nested model, given as Keras serialises it.
  Result<std::vector<TrackedTensor>> call(const Config& layer, LayerNode& node,
                                          CallArguments arguments);

  // For LayerContext.
  Result<ValueId> weight(LayerNode& owner, const Config& config, DType dtype,
                         const std::string& name, const Shape& shape, const WeightOptions& options);

  ir::Builder builder;
  Recording* recording = nullptr;  ///< if set, every call is noted

 private:
  using Tensors = std::vector<TrackedTensor>;

  // `given` null: the model's own inputs become graph inputs.
  Result<Tensors> call_model(const Config& layer, LayerNode& node, const CallArguments* given);
  Result<Tensors> sequential(const Config& config, LayerNode& node, const CallArguments* given);
  Result<Tensors> functional(const Config& config, LayerNode& node, const CallArguments* given);
  Result<Tensors> call_known(const KerasLayer& row, const Config& layer, LayerNode& node,
                             CallArguments arguments);
  Result<TrackedTensor> graph_input(const Config& input_layer, const std::string& name);
  Result<TrackedTensor> implied_input(const Config& model, const Config& first_layer);
  Result<TrackedTensor> bind_input(const Config& input_layer, TrackedTensor given);
  /// Counts layers and references that the walks over shared models meet, again in every call.
  Status count_steps(int64_t steps);
  /// Counts the constants among the values from `first` on.
  Status count_constants(size_t first);
  Status add_activity_losses(const Config& layer, const Tensors& outputs);
  void name_outputs(const LayerNode& node, const Tensors& outputs);
  void record_input(const std::string& name, TrackedTensor& input);
  void record_call(const Config& layer, const LayerNode& node, const CallArguments& arguments,
                   Tensors& outputs);
  Error unknown_class(const std::string& class_name, const std::string& name) const;

  ir::KerasGeneration generation_;
  ImportLimits limits_;
  std::vector<std::string> output_names_;  // of the top model, "" where its layer's name serves
  int64_t elements_ = 0;
  int64_t calls_ = 0;
  int64_t steps_ = 0;
  int64_t constant_elements_ = 0;
  int depth_ = 0;
  int inside_layer_ = 0;  ///< > 0 while a layer calls layers it wraps
  std::vector<RecordedTensor> origins_;
  std::map<const LayerNode*, size_t> recorded_;

  friend class FunctionalWalk;
};

/// Whether {"class_name", "config"} is a model of layers.
bool is_sequential(const Config& layer);
bool is_functional(const Config& layer);
/// "name" of the entry or of its config; error kInvalidData if it has none or a wrong one.
Result<std::string> layer_name(const Config& layer);
/// Error kInvalidData for a name with control characters: HDF5 ends names at NUL, and messages show
/// names to people.
Status check_layer_name(const std::string& name);
/// Names of the call arguments of layers whose tensors after the first have a meaning of their own;
/// empty for the others.
std::vector<const char*> positional_names(const std::string& class_name);

}  // namespace ew::formats
