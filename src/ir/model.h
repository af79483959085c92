#pragma once
// A model: its graph, the architecture as its file described it, and the compiled training state.
// All plain data: formats reads and writes it, train gives the training state its meaning.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/config.h"
#include "ir/graph.h"
#include "ir/packed.h"

namespace ew::ir {

/// Which Keras wrote a file; it decides the numerics where the generations differ.
enum class KerasGeneration { kKeras2 = 2, kKeras3 = 3 };

/// The layers as their file describes them, kept so that a Keras file can be written back.
struct Architecture {
  KerasGeneration generation = KerasGeneration::kKeras3;
  std::string version;  ///< "3.15.1"; empty if the file does not say
  Config config;        ///< model_config: {"class_name": "Functional", "config": {...}}; null if
                        ///< the model did not come from Keras
};

/// The slots of one optimizer variable, or one of the optimizer's own scalars.
struct NamedTensor {
  std::string name;
  Tensor value;
};

/// The most optimizer steps that a file may tell of: more than can be done, and each is exact as a
/// double.
constexpr int64_t kMaxIterations = int64_t{1} << 53;

/// What compile() set and what training has reached, in Keras' own words.
struct CompiledState {
  Config optimizer;         ///< {"class_name": "Adam", "config": {...}}
  Config loss;              ///< string, {"class_name", "config"}, list or map per output
  Config metrics;           ///< list
  Config weighted_metrics;  ///< list or null
  Config loss_weights;      ///< null, list or map
  int64_t iterations = 0;   ///< 0 to kMaxIterations
  /// Slots in canonical form: "<slot>/<parameter index>" with the index into the trainable
  /// parameters in order ("momentum/0", "velocity/0"), plus scalars such as "schedule_product".
  std::map<std::string, Tensor> slots;
  /// Of a checkpoint: {"epochs_done", "callbacks": {name: state}}, kept in files as an attribute
  /// that Keras ignores; null otherwise.
  Config progress;
  /// Of a checkpoint: parameters that a callback keeps (the best ones so far), by its name, as
  /// bytes.
  std::map<std::string, Tensor> kept_weights;
};

/// How a layer's tensors are stored as integers, for files that keep real-valued weights.
struct QuantizationRecord {
  Int8Profile profile = Int8Profile::kTflm;
  /// Quantisation of named graph values: activations by "layer:output", weights by parameter name.
  std::map<std::string, QuantParams> values;
};

struct Model {
  Graph graph;
  Architecture architecture;
  std::optional<CompiledState> compiled;
  std::optional<QuantizationRecord> quantization;
  /// Inputs whose values decided shapes when the model was read; running it needs these same
  /// values.
  std::map<std::string, Tensor> fixed_inputs;
  /// Of an `.ew` file: the graph is the one that inference runs, all passes done.
  bool is_executable = false;
  /// Of an `.ew` file that has one.
  std::shared_ptr<const PackedSection> packed;
};

}  // namespace ew::ir
