#include "train/optimizer_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "train/keras_object.h"
#include "train/optimizer_rule.h"

namespace ew::train {
namespace {

/// A slot's name in each kind of file. Slots of one group alternate parameter by parameter; the
/// legacy order stores slot by slot, but for Ftrl.
struct SlotNames {
  std::string_view class_name;  ///< empty: any
  std::string_view canonical;
  std::string_view keras3, keras2, legacy;  ///< empty: not stored
  int group;
};

constexpr SlotNames kSlotNames[] = {
    {"", "average", "average", "average", "", -2},
    {"", "gradient_accumulator", "gradient_accumulator", "", "", -1},
    {"RMSprop", "velocity", "velocity", "velocity", "rms", 0},
    {"RMSprop", "momentum", "momentum", "momentum", "momentum", 1},
    {"RMSprop", "average_gradient", "average_gradient", "average_gradient", "mg", 2},
    {"SGD", "momentum", "momentum", "m", "momentum", 0},
    {"Lion", "momentum", "momentum", "m", "", 0},
    {"Adafactor", "row", "row", "r", "", 0},
    {"Adafactor", "column", "column", "c", "", 0},
    {"Adafactor", "velocity", "velocity", "v", "", 0},
    {"", "momentum", "momentum", "m", "m", 0},
    {"", "velocity", "velocity", "v", "v", 0},
    {"", "velocity_hat", "velocity_hat", "vhat", "vhat", 1},
    {"", "norm", "norm", "u", "v", 0},
    {"", "accumulator", "accumulator", "accumulator", "accumulator", 0},
    {"", "accumulated_grad", "accumulated_grad", "accumulated_grad", "accum_grad", 0},
    {"", "accumulated_delta_var", "accumulated_delta_var", "accumulated_delta_var", "accum_var", 0},
    {"", "linear", "linear", "linear", "linear", 0},
};

std::string_view name_in(const SlotNames& names, SlotOrder order) {
  if (order == SlotOrder::kKeras3) return names.keras3;
  return order == SlotOrder::kKeras2 ? names.keras2 : names.legacy;
}

/// One slot of the optimizer at hand.
struct Slot {
  const SlotNames* names;
  size_t rule_index;  ///< for slot_shape()
  float initial;
};

/// What is known of an optimizer from its config.
struct Description {
  std::string class_name;
  std::string prefix3, prefix2;  ///< "adam", "Adam"
  bool has_schedule = false;
  bool has_product = false;
  float beta_1 = 0;  ///< for the product
  std::unique_ptr<UpdateRule> rule;
  std::vector<Slot> slots;

  Shape shape_of(const Slot& slot, const Shape& parameter) const {
    return slot.names->group < 0 ? parameter : rule->slot_shape(slot.rule_index, parameter);
  }
};

const SlotNames* find_names(std::string_view class_name, std::string_view canonical) {
  for (const SlotNames& names : kSlotNames) {
    if (names.canonical == canonical &&
        (names.class_name.empty() || names.class_name == class_name)) {
      return &names;
    }
  }
  return nullptr;
}

Result<Description> describe(const Config& optimizer, ir::KerasGeneration generation) {
  EW_TRY(const KerasObject object, read_keras_object(optimizer, "optimizer"));
  EW_TRY(const OptimizerClass* type, find_optimizer_class(object.name));
  const Config arguments = complete_arguments(*type, object.config, generation);
  Description d;
  d.class_name = type->name;
  EW_TRY(const std::string name, arguments.get_string("name", type->name));
  d.prefix3 = snake_case(type->name);
  d.prefix2 = type->name;
  if (!name.empty()) (generation == ir::KerasGeneration::kKeras3 ? d.prefix3 : d.prefix2) = name;
  d.has_schedule = arguments["learning_rate"].is_map();
  EW_TRY(d.rule, type->make(arguments, generation));
  d.has_product = d.rule->schedule_product() != nullptr;
  d.beta_1 = static_cast<float>(arguments["beta_1"].as_double());
  if (arguments["use_ema"].as_bool()) {
    d.slots.push_back({find_names(d.class_name, "average"), 0, 0});
  }
  if (arguments["gradient_accumulation_steps"].as_int() > 0) {
    d.slots.push_back({find_names(d.class_name, "gradient_accumulator"), 0, 0});
  }
  size_t index = 0;
  for (const SlotDef& def : d.rule->slots()) {
    d.slots.push_back({find_names(d.class_name, def.name), index++, def.initial});
  }
  return d;
}

/// One variable of a file.
struct Entry {
  enum Kind { kIteration, kRate, kProduct, kSlot } kind;
  std::string name;
  std::string key;  ///< canonical, for slots
  Shape shape;
  float initial = 0;
};

std::string without_suffix(std::string_view name) {
  if (name.size() > 2 && name.substr(name.size() - 2) == ":0") name.remove_suffix(2);
  return std::string(name);
}

std::string slot_name(const Description& d, SlotOrder order, std::string_view slot,
                      const ParameterSpec& parameter) {
  std::string path = without_suffix(parameter.name);
  switch (order) {
    case SlotOrder::kKeras3:
      std::replace(path.begin(), path.end(), '/', '_');
      return str(d.prefix3, '/', path, '_', slot);
    case SlotOrder::kKeras2:
      return str(d.prefix2, '/', slot, '/', path, ":0");
    case SlotOrder::kLegacy:
      break;
  }
  return str(d.prefix2, '/', path, '/', slot, ":0");
}

/// The slots in groups that alternate parameter by parameter.
std::vector<std::vector<Slot>> groups_of(const Description& d, SlotOrder order) {
  std::vector<std::vector<Slot>> groups;
  int last = 0;
  for (const Slot& slot : d.slots) {
    if (name_in(*slot.names, order).empty()) continue;
    const bool alternates = order != SlotOrder::kLegacy || d.class_name == "Ftrl";
    if (groups.empty() || slot.names->group != last || !alternates) groups.emplace_back();
    groups.back().push_back(slot);
    last = slot.names->group;
  }
  return groups;
}

/// All variables of a file in order.
std::vector<Entry> layout(const Description& d, SlotOrder order,
                          std::span<const ParameterSpec> parameters) {
  const bool is_keras3 = order == SlotOrder::kKeras3;
  const bool is_legacy = order == SlotOrder::kLegacy;
  std::vector<Entry> out;
  const std::string iteration = is_keras3   ? d.prefix3 + "/iteration"
                                : is_legacy ? d.prefix2 + "/iter:0"
                                            : std::string("iteration:0");
  out.push_back({Entry::kIteration, iteration, "", Shape{}});
  if (is_keras3 && !d.has_schedule) {
    out.push_back({Entry::kRate, d.prefix3 + "/learning_rate", "", Shape{}});
  }
  if (is_legacy && d.has_product) {
    out.push_back({Entry::kProduct, d.prefix2 + "/momentum_cache:0", "", Shape{}, 1});
  }
  std::vector<std::vector<Slot>> groups = groups_of(d, order);
  if (order == SlotOrder::kKeras2 && d.class_name == "SGD" &&
      (groups.empty() || groups.back()[0].names->canonical != "momentum")) {
    groups.push_back({{find_names("SGD", "momentum"), 0, 0}});
  }
  for (const std::vector<Slot>& group : groups) {
    for (size_t i = 0; i < parameters.size(); ++i) {
      for (const Slot& slot : group) {
        const Shape shape = d.shape_of(slot, parameters[i].shape);
        // Keras 2 stores no placeholders where Adafactor does not factor.
        const bool is_placeholder = shape.rank() == 0 && parameters[i].shape.rank() > 0;
        if (is_placeholder && !is_keras3) continue;
        out.push_back({Entry::kSlot,
                       slot_name(d, order, name_in(*slot.names, order), parameters[i]),
                       str(slot.names->canonical, '/', i), shape, slot.initial});
      }
    }
  }
  if (is_keras3 && d.has_product) {
    out.push_back({Entry::kProduct, d.prefix3 + "/variable", "", Shape{}, 1});
  }
  return out;
}

/// Puts one variable of a file where it belongs.
Status take(const Entry& entry, const ir::NamedTensor& from, OptimizerState& state) {
  if (from.value.shape() != entry.shape) {
    return invalid_data("optimizer variable ", from.name, ": expected shape ", entry.shape,
                        ", found ", from.value.shape());
  }
  switch (entry.kind) {
    case Entry::kIteration: {
      const ir::Tensor value = from.value.cast(DType::kI64);
      state.iterations = value.values<int64_t>()[0];
      if (state.iterations < 0) return invalid_data(from.name, ": is negative");
      return {};
    }
    case Entry::kRate:
      state.learning_rate = from.value.cast(DType::kF32).values<float>()[0];
      return {};
    case Entry::kProduct:
      state.slots["schedule_product"] = from.value.cast(DType::kF32);
      return {};
    case Entry::kSlot:
      break;
  }
  if (!state.slots.emplace(entry.key, from.value.cast(DType::kF32)).second) {
    return invalid_data("optimizer variable ", from.name, ": is there twice");
  }
  return {};
}

bool are_numbers(std::span<const ir::NamedTensor> file) {
  return !file.empty() && std::all_of(file.begin(), file.end(), [](const ir::NamedTensor& t) {
    return !t.name.empty() &&
           std::all_of(t.name.begin(), t.name.end(), [](char c) { return c >= '0' && c <= '9'; });
  });
}

Result<OptimizerState> read_by_order(const Description& d, SlotOrder order,
                                     std::span<const ir::NamedTensor> file,
                                     std::span<const ParameterSpec> parameters) {
  const std::vector<Entry> entries = layout(d, order, parameters);
  if (entries.size() != file.size()) {
    return invalid_data("optimizer: expected ", entries.size(), " variables for ", d.class_name,
                        " and ", parameters.size(), " parameters, found ", file.size());
  }
  OptimizerState state;
  for (size_t i = 0; i < file.size(); ++i) EW_TRY_VOID(take(entries[i], file[i], state));
  return state;
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

/// What a variable is, by its name in any of the three orders.
struct Meaning {
  Entry::Kind kind = Entry::kSlot;
  const SlotNames* slot = nullptr;
};

/// Slots that files of this class may hold, longest Keras 3 name first ("velocity_hat" also ends a
/// name that "hat" would).
std::vector<const SlotNames*> known_slots(const Description& d) {
  std::vector<const SlotNames*> out;
  for (const SlotNames& names : kSlotNames) {
    if (find_names(d.class_name, names.canonical) == &names) out.push_back(&names);
  }
  std::sort(out.begin(), out.end(), [](const SlotNames* a, const SlotNames* b) {
    const size_t x = a->keras3.size();
    const size_t y = b->keras3.size();
    return x > y || (x == y && a < b);  // both point into kSlotNames
  });
  return out;
}

Result<Meaning> interpret(const Description& d, const std::string& full_name) {
  const std::string name = without_suffix(full_name);
  const std::vector<std::string> parts = split(name, '/');
  const std::string& last = parts.back();
  if (last == "iteration" || last == "iterations" || last == "iter") {
    return Meaning{Entry::kIteration, nullptr};
  }
  if (last == "learning_rate") return Meaning{Entry::kRate, nullptr};
  if (d.has_product && (last == "variable" || last == "momentum_cache")) {
    return Meaning{Entry::kProduct, nullptr};
  }
  const std::vector<const SlotNames*> slots = known_slots(d);
  // Only slots that this config has are looked for first: Adamax's "v" is not Adam's.
  for (const bool must_have : {true, false}) {
    for (const SlotNames* slot : slots) {
      const bool has = std::any_of(d.slots.begin(), d.slots.end(),
                                   [&](const Slot& s) { return s.names == slot; });
      if (has != must_have) continue;
      const bool is_keras3 = parts.size() == 2 && ends_with(last, str('_', slot->keras3));
      const bool is_keras2 = parts.size() > 2 && !slot->keras2.empty() && parts[1] == slot->keras2;
      const bool is_legacy = parts.size() > 2 && !slot->legacy.empty() && last == slot->legacy;
      if (is_keras3 || is_keras2 || is_legacy) return Meaning{Entry::kSlot, slot};
    }
  }
  return invalid_data("optimizer variable ", full_name, " is not one of ", d.class_name);
}

/// By names: each tells the slot, and a slot's parameters follow in order.
Result<OptimizerState> read_by_name(const Description& d, std::span<const ir::NamedTensor> file,
                                    std::span<const ParameterSpec> parameters) {
  OptimizerState state;
  std::map<const SlotNames*, size_t> next;
  for (const ir::NamedTensor& tensor : file) {
    EW_TRY(const Meaning meaning, interpret(d, tensor.name));
    Entry entry{meaning.kind, tensor.name, "", Shape{}};
    if (meaning.slot) {
      size_t& i = next[meaning.slot];
      // Adafactor's placeholders for vectors may be left out: skip to the next parameter that fits.
      const auto own = std::find_if(d.slots.begin(), d.slots.end(),
                                    [&](const Slot& s) { return s.names == meaning.slot; });
      const auto shape_at = [&](size_t p) {
        return own == d.slots.end() ? parameters[p].shape : d.shape_of(*own, parameters[p].shape);
      };
      while (i < parameters.size() && shape_at(i).rank() == 0 && parameters[i].shape.rank() > 0 &&
             tensor.value.shape().rank() > 0) {
        ++i;
      }
      if (i == parameters.size()) {
        return invalid_data("optimizer variable ", tensor.name, ": the model has only ",
                            parameters.size(), " trainable parameters");
      }
      entry.shape = shape_at(i);
      entry.key = str(meaning.slot->canonical, '/', i++);
    }
    EW_TRY_VOID(take(entry, tensor, state));
  }
  return state;
}

/// Adds what files leave out: placeholders, and Nadam's product, which follows from the iterations.
void complete(const Description& d, std::span<const ParameterSpec> parameters,
              OptimizerState& state) {
  for (const Slot& slot : d.slots) {
    for (size_t i = 0; i < parameters.size(); ++i) {
      const Shape shape = d.shape_of(slot, parameters[i].shape);
      if (shape.rank() == 0 && parameters[i].shape.rank() > 0) {
        state.slots.emplace(str(slot.names->canonical, '/', i), ir::Tensor(DType::kF32, shape));
      }
    }
  }
  if (!d.has_product || state.slots.count("schedule_product") > 0) return;
  float product = 1;
  for (int64_t t = 1; t <= state.iterations && product > 0; ++t) {
    product *= d.beta_1 * (1.0f - 0.5f * std::pow(0.96f, static_cast<float>(t)));
  }
  state.slots["schedule_product"] = ir::Tensor::scalar(product);
}

}  // namespace

Result<OptimizerState> slots_from_file(const Config& optimizer, ir::KerasGeneration generation,
                                       std::span<const ir::NamedTensor> file,
                                       std::span<const ParameterSpec> parameters) {
  EW_TRY(const Description d, describe(optimizer, generation));
  const SlotOrder order =
      generation == ir::KerasGeneration::kKeras3 ? SlotOrder::kKeras3 : SlotOrder::kKeras2;
  EW_TRY(OptimizerState state, are_numbers(file) ? read_by_order(d, order, file, parameters)
                                                 : read_by_name(d, file, parameters));
  complete(d, parameters, state);
  for (const Slot& slot : d.slots) {
    for (size_t i = 0; i < parameters.size(); ++i) {
      const std::string key = str(slot.names->canonical, '/', i);
      if (state.slots.count(key) == 0) {
        return invalid_data("optimizer: ", d.class_name, "'s ", slot.names->canonical, " of ",
                            parameters[i].name, " is missing");
      }
    }
  }
  return state;
}

Result<std::vector<ir::NamedTensor>> slots_to_file(const Config& optimizer, SlotOrder order,
                                                   const OptimizerState& state,
                                                   std::span<const ParameterSpec> parameters) {
  const auto generation =
      order == SlotOrder::kKeras3 ? ir::KerasGeneration::kKeras3 : ir::KerasGeneration::kKeras2;
  EW_TRY(const Description d, describe(optimizer, generation));
  for (const Slot& slot : d.slots) {
    if (order == SlotOrder::kLegacy && name_in(*slot.names, order).empty()) {
      return unsupported("optimizer: Keras 2's legacy ", d.class_name, " has no ",
                         slot.names->canonical);
    }
  }
  std::vector<ir::NamedTensor> out;
  for (const Entry& entry : layout(d, order, parameters)) {
    ir::Tensor value(DType::kF32, entry.shape);
    std::fill_n(value.mutable_values<float>().data(), value.size(), entry.initial);
    if (entry.kind == Entry::kIteration) {
      value = ir::Tensor::from<int64_t>(std::vector<int64_t>{state.iterations}, Shape{});
    } else if (entry.kind == Entry::kRate) {
      value = ir::Tensor::scalar(state.learning_rate.value_or(0.001f));
    } else {
      const auto found =
          state.slots.find(entry.kind == Entry::kProduct ? "schedule_product" : entry.key);
      if (found != state.slots.end()) {
        if (found->second.shape() != entry.shape) {
          return invalid_data("optimizer slot ", found->first, ": expected shape ", entry.shape,
                              ", found ", found->second.shape());
        }
        value = found->second;
      }
    }
    out.push_back({entry.name, std::move(value)});
  }
  return out;
}

}  // namespace ew::train
