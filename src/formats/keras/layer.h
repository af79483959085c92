#pragma once
// How one call of one Keras layer becomes graph nodes. Each layer class is a row of an operator's
// io facet (src/ops/<op>/<op>_io.cpp); the importer (import.cpp) walks the architecture and calls
// them.

#include <memory>
#include <string>
#include <vector>

#include "base/config.h"
#include "ir/graph.h"
#include "ir/model.h"
#include "ops/ops.h"

namespace ew::formats {

using ir::kNoValue;
using ir::ValueId;

/// A symbolic tensor of the model being imported, with its Keras mask (bool, [batch, time] as a
/// rule), or kNoValue.
struct KerasTensor {
  ValueId value = kNoValue;
  ValueId mask = kNoValue;
};

/// How a weight is declared.
struct WeightOptions {
  bool is_trainable = true;
  /// The attribute path of the sublayer that owns it, as `.keras` files spell it ("cell",
  /// "query_dense", "forward_layer/cell"); "" for the layer itself. Appended to the context's own.
  std::string sublayer = "";
  /// Key of the layer's config that holds its regularizer and constraint ("kernel": reads
  /// kernel_regularizer and kernel_constraint); "" for none.
  std::string config_prefix = "";
  float initial_value = 0;  ///< until the file's value is read (1 for gammas and variances)
};

/// All weights of a model in the order in which its layers declare them.
struct LayerWeights {
  std::string layer;            ///< unique layer path: "conv2d", nested "block/dense"
  std::vector<ValueId> values;  ///< in order of declaration
};

/// One call of one layer.
class LayerContext {
 public:
  virtual ~LayerContext() = default;

  ir::Builder& b;
  const Config& config;  ///< the layer's config; all keys untrusted
  const std::string class_name;
  const std::string name;
  const ir::KerasGeneration generation;
  /// Positional tensor arguments, flattened, in order.
  std::vector<KerasTensor> inputs;
  /// Tensors passed by keyword or as later positional arguments, by parameter name
  /// ("initial_state", "value", "key", "attention_mask", ...).
  std::vector<std::pair<std::string, KerasTensor>> keyword_tensors;
  /// Plain call arguments ("use_causal_mask", and for operation layers their constants: the
  /// positional arguments of the node in order under "args", where {"tensor": i} is inputs[i]).
  Config call;

  /// Variables are stored in variable_dtype and computed with in compute_dtype (mixed policies).
  DType variable_dtype = DType::kF32;
  DType compute_dtype = DType::kF32;

  /// Declares (first call) or finds (shared layer, later calls) a weight, cast to compute_dtype.
  /// Error kInvalidData if a later call asks for another shape.
  virtual ValueId weight(const std::string& weight_name, const Shape& shape,
                         const WeightOptions& options = {}) = 0;
  /// The same without the cast: the parameter itself (moving averages, recurrent state).
  virtual ValueId raw_weight(const std::string& weight_name, const Shape& shape,
                             const WeightOptions& options = {}) = 0;

  /// Imports a wrapped layer, given as Keras serialises it ({"class_name", "config"}), on `on`.
  /// `sublayer` is its attribute path in `.keras` ("layer", "forward_layer").
  virtual std::vector<KerasTensor> call_layer(const Config& layer, const std::string& sublayer,
                                              std::vector<KerasTensor> on) = 0;

  /// Applies an activation given as Keras writes it: null, a name, or {"class_name", "config"}.
  virtual ValueId activation(ValueId x, const Config& activation) = 0;

  /// Records an error naming this layer; returns no tensors.
  std::vector<KerasTensor> fail(Error error) {
    b.fail(at(ew::str(class_name, " '", name, "'"), std::move(error)));
    return {};
  }
  /// The single output `value` with the first input's mask (layers that support masking).
  std::vector<KerasTensor> output(ValueId value) const {
    return {{value, inputs.empty() ? kNoValue : inputs[0].mask}};
  }
  /// The single output `value` without a mask.
  static std::vector<KerasTensor> unmasked(ValueId value) { return {{value, kNoValue}}; }

 protected:
  LayerContext(ir::Builder& builder, const Config& layer_config, std::string layer_class,
               std::string layer_name, ir::KerasGeneration keras)
      : b(builder),
        config(layer_config),
        class_name(std::move(layer_class)),
        name(std::move(layer_name)),
        generation(keras) {}
};

/// Builds a layer's nodes and returns its outputs; errors go to context.fail() or b.fail().
using KerasLayerFn = std::vector<KerasTensor> (*)(LayerContext& context);

struct KerasLayer {
  const char* class_name;
  KerasLayerFn build;
};

/// A Keras activation by name: f(x) of the given generation.
using KerasActivationFn = ValueId (*)(ir::Builder& b, ValueId x, ir::KerasGeneration generation);
struct KerasActivation {
  const char* name;
  KerasActivationFn build;
};

/// The io facet of an operator (ops.def column io).
struct OpIo {
  std::span<const KerasLayer> keras_layers = {};
  std::span<const KerasActivation> keras_activations = {};
};

/// The layer class of that name, or null.
const KerasLayer* find_keras_layer(std::string_view class_name);
/// All class names, sorted, for messages and documentation.
std::vector<std::string> keras_layer_names();
const KerasActivation* find_keras_activation(std::string_view name);

}  // namespace ew::formats
