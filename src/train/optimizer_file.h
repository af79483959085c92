#pragma once
// How Keras files store an optimizer's state. Pure functions between the ordered list of a file and
// the canonical form of Optimizer::slots().

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/config.h"
#include "ir/model.h"
#include "train/optimizer.h"

namespace ew::train {

/// Order and names of an optimizer's variables in a file.
enum class SlotOrder {
  kKeras3,  ///< "adam/iteration", "adam/learning_rate" unless scheduled,
            ///< "adam/sequential_dense_kernel_momentum", "..._velocity", ...
  kKeras2,  ///< "iteration:0", "Adam/m/dense/kernel:0", "Adam/v/dense/kernel:0", ...
  kLegacy,  ///< Keras 2's legacy optimizers, and the dialect both generations open: "Adam/iter:0",
            ///< all "Adam/dense/kernel/m:0", then all "Adam/dense/kernel/v:0", ...
};

struct OptimizerState {
  int64_t iterations = 0;
  std::optional<float> learning_rate;  ///< Keras 3 stores a rate that is not a schedule
  std::map<std::string, ir::Tensor> slots;
};

/// Reads the `optimizer_weights` of an `.h5` (named tensors in the order of its weight_names) or
/// the `optimizer/vars` of a `.keras` (names "0", "1", ... in numeric order; then the order of
/// `generation` decides). `optimizer` is the config, `parameters` the trainable ones in order.
/// Errors: kInvalidData (a shape that does not fit, a missing or surplus variable),
/// kInvalidArgument (unknown optimizer class).
Result<OptimizerState> slots_from_file(const Config& optimizer, ir::KerasGeneration generation,
                                       std::span<const ir::NamedTensor> file,
                                       std::span<const ParameterSpec> parameters);

/// The list to write. Slots the state lacks are written as they would start (Keras 2 stores a
/// momentum for plain SGD). `parameters` carry the names as the file has them.
/// Errors: kUnsupported if `order` has no form for this optimizer (Lion in legacy order);
/// kInvalidData if a slot's shape is wrong.
Result<std::vector<ir::NamedTensor>> slots_to_file(const Config& optimizer, SlotOrder order,
                                                   const OptimizerState& state,
                                                   std::span<const ParameterSpec> parameters);

}  // namespace ew::train
