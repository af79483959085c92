#include "train/parameter_store.h"

#include <cstring>

namespace ew::train {

Result<ParameterStore> ParameterStore::create(const ir::Graph& graph) {
  ParameterStore store;
  size_t trainable_bytes = 0;
  size_t other_bytes = 0;
  for (const ir::ValueId id : graph.parameters()) {
    ir::Value value = graph.value(id);
    const bool is_trainable = value.info->is_trainable && is_floating(value.type.dtype);
    if (is_trainable && value.type.dtype != DType::kF32) {
      return unsupported("parameter '", value.name, "' is ", value.type.dtype,
                         "; training needs float32 variables (a mixed policy keeps them so)");
    }
    if (is_trainable) {
      store.trainable_.push_back(store.entries_.size());
      trainable_bytes += value.data.size_bytes();
    } else {
      other_bytes += (value.data.size_bytes() + 63) / 64 * 64;
    }
    value.data = {};
    store.entries_.push_back({std::move(value), nullptr, nullptr});
  }
  const size_t trainable_end = (trainable_bytes + 63) / 64 * 64;
  store.values_ = std::make_unique<ir::Buffer>(trainable_end + other_bytes);
  store.gradients_ = std::make_unique<ir::Buffer>(trainable_bytes);
  auto* base = static_cast<uint8_t*>(store.values_->data());
  auto* gradients = static_cast<uint8_t*>(store.gradients_->data());
  size_t next = 0;
  size_t next_other = trainable_end;
  for (Entry& entry : store.entries_) {
    const size_t bytes = static_cast<size_t>(entry.value.type.shape.num_elements()) *
                         dtype_size(entry.value.type.dtype);
    const bool is_trainable = entry.value.info->is_trainable && is_floating(entry.value.type.dtype);
    if (is_trainable) {
      entry.data = base + next;
      entry.gradient = reinterpret_cast<float*>(gradients + next);
      next += bytes;
    } else {
      entry.data = base + next_other;
      next_other += (bytes + 63) / 64 * 64;
    }
  }
  store.copy_from(graph);
  return store;
}

void ParameterStore::copy_from(const ir::Graph& graph) {
  const std::vector<ir::ValueId> ids = graph.parameters();
  for (size_t k = 0; k < ids.size(); ++k) {
    const ir::Tensor& data = graph.value(ids[k]).data;
    if (data.size() > 0) std::memcpy(entries_[k].data, data.data(), data.size_bytes());
  }
}

void ParameterStore::copy_to(ir::Graph& graph) const {
  const std::vector<ir::ValueId> ids = graph.parameters();
  for (size_t k = 0; k < ids.size(); ++k) {
    ir::Tensor& data = graph.value(ids[k]).data;
    if (data.size() > 0) std::memcpy(data.mutable_data(), entries_[k].data, data.size_bytes());
  }
}

std::vector<uint8_t> ParameterStore::snapshot() const {
  const auto* begin = static_cast<const uint8_t*>(values_->data());
  return {begin, begin + values_->size()};
}

void ParameterStore::restore(std::span<const uint8_t> snapshot) {
  EW_DCHECK(snapshot.size() == values_->size());
  if (!snapshot.empty()) std::memcpy(values_->data(), snapshot.data(), snapshot.size());
}

}  // namespace ew::train
