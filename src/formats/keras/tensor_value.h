#pragma once
// Helpers of both writers.

#include <string>
#include <utility>
#include <vector>

#include "formats/h5_tree.h"
#include "formats/keras/optimizer_slots.h"
#include "ir/model.h"

namespace ew::formats {

/// A tensor as a dataset's value; bfloat16 as float32, which HDF5 has.
H5Value tensor_value(const ir::Tensor& tensor);

/// The values for a file's optimizer variables. `place[i]` is the index in memory of the file's
/// i-th trainable parameter. Slots that the state lacks start at zero (Ftrl's and Adagrad's
/// accumulators at their initial value). Error kInvalidData for a slot of the wrong shape.
Result<std::vector<ir::Tensor>> slot_values(const ir::CompiledState& state,
                                            const std::vector<SlotEntry>& entries,
                                            const std::vector<size_t>& place);

/// The record with names that begin with an old layer path under the new one.
ir::QuantizationRecord renamed(const ir::QuantizationRecord& record,
                               const std::vector<std::pair<std::string, std::string>>& names);

}  // namespace ew::formats
