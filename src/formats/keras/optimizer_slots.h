#pragma once
// How Keras files name and order an optimizer's variables. In memory a slot is "<slot>/<index>",
// <slot> being Keras 3's name ("momentum", "velocity", "velocity_hat", "norm", "accumulator", ...)
// and the index that of the trainable parameter; Nadam adds the scalar "schedule_product".

#include <map>
#include <string>
#include <vector>

#include "base/config.h"
#include "ir/graph.h"
#include "ir/model.h"

namespace ew::formats {

enum class SlotOrder {
  kKeras3,  ///< "adam/iteration", "adam/learning_rate" unless scheduled, then
            ///< "adam/dense_kernel_momentum", "adam/dense_kernel_velocity", ...
  kKeras2,  ///< "iteration:0", "Adam/m/dense/kernel:0", "Adam/v/dense/kernel:0", ...
  kLegacy,  ///< "Adam/iter:0", every "Adam/dense/kernel/m:0", then every "Adam/dense/kernel/v:0"
};

/// One variable of a file, in order.
struct SlotEntry {
  std::string key;   ///< "momentum/0", "schedule_product", "iteration" or "learning_rate"
  std::string name;  ///< as the file calls it
  Shape shape;
};

/// A trainable parameter: its path as the optimizer names it ("dense/kernel"), and its shape.
struct SlotParameter {
  std::string path;
  Shape shape;
};

/// The trainable parameters of a graph in order.
std::vector<SlotParameter> slot_parameters(const ir::Graph& graph);

/// Whether the order of this optimizer's variables is known.
bool has_slot_order(const Config& optimizer, SlotOrder order);

/// All variables of a built optimizer ({"class_name", "config"}) in a file's order. Error
/// kUnsupported unless has_slot_order().
Result<std::vector<SlotEntry>> slot_entries(const Config& optimizer, SlotOrder order,
                                            const std::vector<SlotParameter>& parameters);

/// The order in which a file whose first variable has this name keeps the others.
SlotOrder slot_order_of(const std::string& first_name);

/// Takes the variables of a file over into `state`. A file with nothing but the iteration (before
/// the first step), or of an optimizer whose order is unknown, gives no slots. Error kInvalidData
/// names the variable whose shape is wrong.
Status read_slots(const std::vector<ir::NamedTensor>& file, SlotOrder order,
                  const std::vector<SlotParameter>& parameters, ir::CompiledState& state);

}  // namespace ew::formats
