#include "formats/keras/optimizer_slots.h"

#include <algorithm>
#include <cmath>

#include "formats/keras/names.h"

namespace ew::formats {
namespace {

// Slots that a class keeps for every parameter. Those of one group alternate by parameter
// (m, v of the first, m, v of the second); groups follow each other.
struct Slot {
  const char* name;    // Keras 3 and canonical
  const char* keras2;  // null: not there
  const char* legacy;
};
using Group = std::vector<Slot>;

double number(const Config& optimizer, const char* key) {
  return optimizer["config"][key].as_double();
}
bool flag(const Config& optimizer, const char* key) { return optimizer["config"][key].as_bool(); }

const Slot kMomentum{"momentum", "m", "m"};
const Slot kVelocity{"velocity", "v", "v"};

std::vector<Group> class_groups(const Config& optimizer, SlotOrder order) {
  const std::string& name = optimizer["class_name"].as_string();
  if (name == "SGD") {
    // Keras 2's class keeps a momentum even if it is 0.
    if (number(optimizer, "momentum") == 0 && order != SlotOrder::kKeras2) return {{}};
    return {{{"momentum", "m", "momentum"}}};
  }
  if (name == "RMSprop") {
    std::vector<Group> groups{{{"velocity", "velocity", "rms"}}};
    if (number(optimizer, "momentum") > 0) {
      groups.push_back({{"momentum", "momentum", "momentum"}});
    }
    if (flag(optimizer, "centered")) {
      groups.push_back({{"average_gradient", "average_gradient", "mg"}});
    }
    return groups;
  }
  if (name == "Adam" || name == "AdamW") {
    std::vector<Group> groups{{kMomentum, kVelocity}};
    if (flag(optimizer, "amsgrad")) groups.push_back({{"velocity_hat", "vhat", "vhat"}});
    return groups;
  }
  if (name == "Adamax") return {{kMomentum, {"norm", "u", "v"}}};
  if (name == "Nadam" || name == "Lamb") return {{kMomentum, kVelocity}};
  if (name == "Lion") return {{kMomentum}};
  if (name == "Adagrad") return {{{"accumulator", "accumulator", "accumulator"}}};
  if (name == "Adadelta") {
    return {{{"accumulated_grad", "accumulated_grad", "accum_grad"},
             {"accumulated_delta_var", "accumulated_delta_var", "accum_var"}}};
  }
  if (name == "Ftrl")
    return {{{"accumulator", "accumulator", "accumulator"}, {"linear", "linear", "linear"}}};
  if (name == "Adafactor") return {{{"row", "r", ""}, {"column", "c", ""}, {"velocity", "v", ""}}};
  return {};
}

std::vector<Group> all_groups(const Config& optimizer, SlotOrder order) {
  std::vector<Group> groups;
  if (order != SlotOrder::kLegacy) {
    if (flag(optimizer, "use_ema")) groups.push_back({{"average", "average", ""}});
    if (order == SlotOrder::kKeras3 && number(optimizer, "gradient_accumulation_steps") > 0) {
      groups.push_back({{"gradient_accumulator", "", ""}});
    }
  }
  const bool is_ftrl = optimizer["class_name"].as_string() == "Ftrl";
  for (Group& group : class_groups(optimizer, order)) {
    // The legacy classes keep slot after slot, but for Ftrl.
    if (order == SlotOrder::kLegacy && !is_ftrl) {
      for (const Slot& slot : group) groups.push_back({slot});
    } else {
      groups.push_back(std::move(group));
    }
  }
  return groups;
}

// Adafactor keeps sums over the last or the last but one axis, and a dummy for vectors.
Shape slot_shape(const std::string& slot, const Shape& shape) {
  if (slot != "row" && slot != "column") return shape;
  if (shape.rank() < 2) return {};
  std::vector<int64_t> dims = shape.dims();
  dims.erase(dims.end() - (slot == "row" ? 1 : 2));
  return Shape(std::move(dims));
}

std::string slot_name(const std::string& optimizer, const Slot& slot, SlotOrder order,
                      const std::string& path) {
  if (order == SlotOrder::kKeras2) return str(optimizer, "/", slot.keras2, "/", path, ":0");
  if (order == SlotOrder::kLegacy) return str(optimizer, "/", path, "/", slot.legacy, ":0");
  std::string flat = path;
  std::replace(flat.begin(), flat.end(), '/', '_');
  return str(optimizer, "/", flat, "_", slot.name);
}

// Keras 2 does not save Nadam's product of momentum factors; it follows from the steps done. The
// file says how many: beyond a million, what is left is a power of the last factor.
ir::Tensor nadam_product(const ir::CompiledState& state) {
  constexpr int64_t kExactSteps = 1'000'000;
  const double beta = state.optimizer["config"]["beta_1"].as_double(0.9);
  float product = 1;
  float factor = 1;
  for (int64_t step = 1; step <= std::min(state.iterations, kExactSteps); ++step) {
    const double decay = 1 - 0.5 * std::pow(0.96, static_cast<double>(step));
    factor = static_cast<float>(beta * decay);
    const float next = product * factor;
    if (decay == 1 && next == product) return ir::Tensor::scalar(product);  // for ever
    product = next;
  }
  const int64_t left = std::max(int64_t{0}, state.iterations - kExactSteps);
  const double power = std::pow(static_cast<double>(factor), static_cast<double>(left));
  return ir::Tensor::scalar(static_cast<float>(product * power));
}

Result<int64_t> read_counter(const ir::NamedTensor& variable) {
  if (variable.value.size() == 1) {
    const int64_t count = variable.value.cast(DType::kI64).values<int64_t>()[0];
    if (count >= 0 && count <= ir::kMaxIterations) return count;
  }
  return invalid_data("optimizer: '", variable.name, "' is no counter of steps (0 to ",
                      ir::kMaxIterations, ")");
}

}  // namespace

std::vector<SlotParameter> slot_parameters(const ir::Graph& graph) {
  std::vector<SlotParameter> out;
  for (const ir::ValueId id : graph.parameters()) {
    const ir::Value& value = graph.value(id);
    if (value.info->is_trainable) out.push_back({value.name, value.type.shape});
  }
  return out;
}

bool has_slot_order(const Config& optimizer, SlotOrder order) {
  const std::string& name = optimizer["class_name"].as_string();
  if (class_groups(optimizer, order).empty()) return false;
  if (order == SlotOrder::kKeras3) return true;
  if (name == "Lamb") return false;
  return order == SlotOrder::kKeras2 || (name != "AdamW" && name != "Lion" && name != "Adafactor" &&
                                         name != "Nadam" && !flag(optimizer, "use_ema"));
}

Result<std::vector<SlotEntry>> slot_entries(const Config& optimizer, SlotOrder order,
                                            const std::vector<SlotParameter>& parameters) {
  const std::string& class_name = optimizer["class_name"].as_string();
  if (!has_slot_order(optimizer, order)) {
    return unsupported("optimizer ", class_name, " has no variables in this file's layout");
  }
  const std::string prefix = order == SlotOrder::kKeras3 ? to_snake_case(class_name) : class_name;
  std::vector<SlotEntry> out;
  const bool is_keras3 = order == SlotOrder::kKeras3;
  out.push_back({"iteration",
                 is_keras3                     ? prefix + "/iteration"
                 : order == SlotOrder::kKeras2 ? "iteration:0"
                                               : prefix + "/iter:0",
                 {}});
  if (is_keras3 && optimizer["config"]["learning_rate"].is_number()) {
    out.push_back({"learning_rate", prefix + "/learning_rate", {}});
  }
  for (const Group& group : all_groups(optimizer, order)) {
    for (size_t i = 0; i < parameters.size(); ++i) {
      for (const Slot& slot : group) {
        out.push_back({str(slot.name, "/", i), slot_name(prefix, slot, order, parameters[i].path),
                       slot_shape(slot.name, parameters[i].shape)});
      }
    }
  }
  if (is_keras3 && class_name == "Nadam") {
    out.push_back({"schedule_product", prefix + "/variable", {}});
  }
  return out;
}

SlotOrder slot_order_of(const std::string& first_name) {
  if (first_name.ends_with("iter:0") || first_name.ends_with("iter")) return SlotOrder::kLegacy;
  return first_name.starts_with("iteration:") ? SlotOrder::kKeras2 : SlotOrder::kKeras3;
}

Status read_slots(const std::vector<ir::NamedTensor>& file, SlotOrder order,
                  const std::vector<SlotParameter>& parameters, ir::CompiledState& state) {
  if (file.empty()) return {};
  EW_TRY(state.iterations, read_counter(file[0]));
  if (!has_slot_order(state.optimizer, order)) return {};
  EW_TRY(const std::vector<SlotEntry> entries, slot_entries(state.optimizer, order, parameters));
  // Before the first step there is nothing but the counter and perhaps the rate.
  if (file.size() < 3 && file.size() < entries.size()) return {};
  if (file.size() != entries.size()) {
    return invalid_data("optimizer ", state.optimizer["class_name"].as_string(), ": expected ",
                        entries.size(), " variables, the file has ", file.size());
  }
  for (size_t i = 1; i < entries.size(); ++i) {
    if (file[i].value.shape() != entries[i].shape) {
      return invalid_data("optimizer variable '", file[i].name, "': expected shape ",
                          entries[i].shape, " (", entries[i].key, "), found ",
                          file[i].value.shape());
    }
    if (entries[i].key == "learning_rate") continue;
    state.slots[entries[i].key] = file[i].value.cast(DType::kF32);
  }
  if (state.optimizer["class_name"].as_string() == "Nadam" &&
      !state.slots.contains("schedule_product")) {
    state.slots["schedule_product"] = nadam_product(state);
  }
  return {};
}

}  // namespace ew::formats
