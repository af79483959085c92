#include "formats/keras/tensor_value.h"

#include <algorithm>

namespace ew::formats {
namespace {

ir::Tensor filled(const Shape& shape, float value) {
  ir::Tensor out(DType::kF32, shape);
  for (float& element : out.mutable_values<float>()) element = value;
  return out;
}

float start_value(const Config& optimizer, const std::string& key) {
  if (key == "schedule_product") return 1;
  if (!key.starts_with("accumulator/")) return 0;
  const Config& initial = optimizer["config"]["initial_accumulator_value"];
  return initial.is_number() ? static_cast<float>(initial.as_double()) : 0.1f;
}

}  // namespace

H5Value tensor_value(const ir::Tensor& tensor) {
  if (tensor.dtype() == DType::kBF16) return tensor_value(tensor.cast(DType::kF32));
  return H5Value::numbers(tensor.dtype(), tensor.shape(),
                          {static_cast<const uint8_t*>(tensor.data()), tensor.size_bytes()});
}

Result<std::vector<ir::Tensor>> slot_values(const ir::CompiledState& state,
                                            const std::vector<SlotEntry>& entries,
                                            const std::vector<size_t>& place) {
  std::vector<ir::Tensor> out;
  for (const SlotEntry& entry : entries) {
    if (entry.key == "iteration") {
      out.push_back(ir::Tensor::from<int64_t>(std::vector<int64_t>{state.iterations}, Shape{}));
      continue;
    }
    if (entry.key == "learning_rate") {
      const double rate = state.optimizer["config"]["learning_rate"].as_double();
      out.push_back(ir::Tensor::scalar(static_cast<float>(rate)));
      continue;
    }
    std::string key = entry.key;
    const size_t slash = key.find('/');
    if (slash != std::string::npos) {
      key = str(key.substr(0, slash + 1), place[std::stoul(key.substr(slash + 1))]);
    }
    const auto slot = state.slots.find(key);
    if (slot == state.slots.end()) {
      out.push_back(filled(entry.shape, start_value(state.optimizer, entry.key)));
    } else if (slot->second.shape() == entry.shape) {
      out.push_back(slot->second);
    } else {
      return invalid_data("optimizer slot ", key, ": expected shape ", entry.shape, ", found ",
                          slot->second.shape());
    }
  }
  return out;
}

ir::QuantizationRecord renamed(const ir::QuantizationRecord& record,
                               const std::vector<std::pair<std::string, std::string>>& names) {
  ir::QuantizationRecord out;
  out.profile = record.profile;
  for (const auto& [name, params] : record.values) {
    const auto match = std::find_if(names.begin(), names.end(), [&](const auto& entry) {
      const std::string& old = entry.first;
      return name.starts_with(old) &&
             (name.size() == old.size() ||
              std::string_view(":@/").find(name[old.size()]) != std::string_view::npos);
    });
    const std::string now =
        match == names.end() ? name : match->second + name.substr(match->first.size());
    out.values.emplace(now, params);
  }
  return out;
}

}  // namespace ew::formats
