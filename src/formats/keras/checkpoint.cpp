#include "formats/keras/checkpoint.h"

#include "formats/json.h"
#include "formats/keras/tensor_value.h"
#include "formats/keras/weights.h"

namespace ew::formats {
namespace {

constexpr const char* kGroup = "edgewise_checkpoint";

// Slots are called "<slot>/<parameter>" or, the optimizer's own scalars, just "<slot>".
void take_slots(const H5Group& group, const std::string& prefix, ir::CompiledState& state) {
  for (const H5Dataset& dataset : group.datasets) {
    if (dataset.value.is_string) continue;
    state.slots[prefix + dataset.name] = to_tensor(dataset, DType::kF32);
  }
  for (const H5Group& inner : group.groups) take_slots(inner, prefix + inner.name + "/", state);
}

Status read(const H5Group& group, ir::CompiledState& state) {
  EW_TRY(const H5Value* value, group.attribute("optimizer"));
  EW_TRY(const std::string text, value->as_string());
  EW_TRY(Config optimizer, parse_json(text));
  EW_TRY(const H5Value* iterations, group.attribute("iterations"));
  EW_TRY(const std::vector<int64_t> count, iterations->as_ints());
  if (count.size() != 1 || count[0] < 0 || count[0] > ir::kMaxIterations) {
    return invalid_data("iterations: expected a number from 0 to ", ir::kMaxIterations);
  }
  state.optimizer = std::move(optimizer);
  state.iterations = count[0];
  state.slots.clear();
  if (const H5Group* slots = group.find_group("slots")) take_slots(*slots, "", state);
  state.kept_weights.clear();
  if (const H5Group* kept = group.find_group("kept_weights")) {
    for (const H5Dataset& dataset : kept->datasets) {
      if (dataset.value.is_string || dataset.value.dtype != DType::kU8) {
        return invalid_data("kept_weights/", dataset.name, ": expected bytes");
      }
      state.kept_weights[dataset.name] = to_tensor(dataset, DType::kU8);
    }
  }
  return {};
}

}  // namespace

void add_checkpoint(H5Group& root, const ir::CompiledState& state) {
  if (state.progress.is_null()) return;
  H5Group& group = root.make_group(kGroup);
  group.set_attribute("optimizer", H5Value::string(to_json(state.optimizer)));
  group.set_attribute("iterations", H5Value::scalar(state.iterations));
  H5Group& slots = group.make_group("slots");
  for (const auto& [name, value] : state.slots) slots.set_dataset(name, tensor_value(value));
  if (state.kept_weights.empty()) return;
  H5Group& kept = group.make_group("kept_weights");
  for (const auto& [name, value] : state.kept_weights) kept.set_dataset(name, tensor_value(value));
}

Status read_checkpoint(const H5Group& root, ir::CompiledState& state) {
  const H5Group* group = root.find_group(kGroup);
  if (group == nullptr) return {};
  const Status status = read(*group, state);
  if (!status.ok()) return at(kGroup, status.error());
  return {};
}

}  // namespace ew::formats
