#include "compress/prune.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ew::compress {
namespace {

std::vector<const ir::Value*> parameters_of(const ir::Graph& graph) {
  std::vector<const ir::Value*> values;
  for (const ir::ValueId id : graph.parameters()) values.push_back(&graph.value(id));
  return values;
}

size_t zeros_for(double sparsity, size_t count) {
  const double zeros = std::round(std::clamp(sparsity, 0.0, 1.0) * static_cast<double>(count));
  return std::min(static_cast<size_t>(zeros), count);
}

// Of equal magnitudes the earlier ones go first, so that the number of zeros is exact and the same
// on every run.
template <typename Less>
void keep_smallest_first(std::vector<size_t>& order, size_t count, Less less) {
  if (count == 0 || count == order.size()) return;
  std::nth_element(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                   less);
}

}  // namespace

double PruneSchedule::sparsity_at(int64_t step) const {
  if (step <= begin_step && begin_step < end_step) return initial_sparsity;
  if (step >= end_step) return final_sparsity;
  const double done =
      static_cast<double>(step - begin_step) / static_cast<double>(end_step - begin_step);
  return final_sparsity + (initial_sparsity - final_sparsity) * std::pow(1 - done, power);
}

bool PruneSchedule::updates_at(int64_t step) const {
  if (step < begin_step || step > end_step) return false;
  return step == end_step || (step - begin_step) % std::max<int64_t>(frequency, 1) == 0;
}

bool is_prunable(const ir::Value& parameter) {
  if (!parameter.info || !parameter.info->is_trainable) return false;
  return parameter.type.dtype == DType::kF32 && parameter.type.shape.rank() >= 2 &&
         parameter.info->name.find("kernel") != std::string::npos;
}

Pruner::Pruner(std::span<const ir::Value* const> parameters, PruneOptions options)
    : options_(std::move(options)) {
  for (const ir::Value* parameter : parameters) {
    const auto& keep = options_.keep_dense;
    const bool prunes = is_prunable(*parameter) &&
                        std::find(keep.begin(), keep.end(), parameter->info->layer) == keep.end();
    const auto size = static_cast<size_t>(prunes ? parameter->type.shape.num_elements() : 0);
    is_zero_.emplace_back(size, false);
  }
}

Pruner::Pruner(const ir::Graph& graph, PruneOptions options)
    : Pruner(parameters_of(graph), std::move(options)) {}

void Pruner::on_step(int64_t step, std::span<const std::span<float>> parameters) {
  if (options_.schedule.updates_at(step)) {
    prune_now(options_.schedule.sparsity_at(step), parameters);
  } else {
    apply(parameters);
  }
}

void Pruner::prune_now(double sparsity, std::span<const std::span<float>> parameters) {
  EW_DCHECK(parameters.size() == is_zero_.size());
  if (options_.global_threshold) {
    update_all(sparsity, parameters);
  } else {
    for (size_t i = 0; i < is_zero_.size(); ++i) {
      if (!is_zero_[i].empty()) update_layer(i, sparsity, parameters[i]);
    }
  }
  apply(parameters);
}

void Pruner::update_layer(size_t index, double sparsity, std::span<const float> weights) {
  std::vector<bool>& mask = is_zero_[index];
  std::vector<size_t> order(mask.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const size_t zeros = zeros_for(sparsity, order.size());
  keep_smallest_first(order, zeros, [&](size_t a, size_t b) {
    const float x = std::abs(weights[a]);
    const float y = std::abs(weights[b]);
    return x != y ? x < y : a < b;
  });
  mask.assign(mask.size(), false);
  for (size_t i = 0; i < zeros; ++i) mask[order[i]] = true;
}

void Pruner::update_all(double sparsity, std::span<const std::span<float>> parameters) {
  struct Place {
    float magnitude;
    uint32_t parameter;
    size_t index;
  };
  std::vector<Place> places;
  for (size_t p = 0; p < is_zero_.size(); ++p) {
    for (size_t i = 0; i < is_zero_[p].size(); ++i) {
      places.push_back({std::abs(parameters[p][i]), static_cast<uint32_t>(p), i});
    }
    is_zero_[p].assign(is_zero_[p].size(), false);
  }
  const size_t zeros = zeros_for(sparsity, places.size());
  if (zeros > 0 && zeros < places.size()) {
    std::nth_element(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(zeros),
                     places.end(), [](const Place& a, const Place& b) {
                       if (a.magnitude != b.magnitude) return a.magnitude < b.magnitude;
                       return a.parameter != b.parameter ? a.parameter < b.parameter
                                                         : a.index < b.index;
                     });
  }
  for (size_t i = 0; i < zeros; ++i) is_zero_[places[i].parameter][places[i].index] = true;
}

void Pruner::apply(std::span<const std::span<float>> parameters) const {
  EW_DCHECK(parameters.size() == is_zero_.size());
  for (size_t p = 0; p < is_zero_.size(); ++p) {
    for (size_t i = 0; i < is_zero_[p].size(); ++i) {
      if (is_zero_[p][i]) parameters[p][i] = 0;
    }
  }
}

double Pruner::sparsity() const {
  size_t zeros = 0;
  size_t all = 0;
  for (const std::vector<bool>& mask : is_zero_) {
    zeros += static_cast<size_t>(std::count(mask.begin(), mask.end(), true));
    all += mask.size();
  }
  return all == 0 ? 0 : static_cast<double>(zeros) / static_cast<double>(all);
}

double zero_fraction(const ir::Graph& graph) {
  int64_t zeros = 0;
  int64_t all = 0;
  for (const ir::Value* parameter : parameters_of(graph)) {
    if (!is_prunable(*parameter)) continue;
    const std::span<const float> w = parameter->data.values<float>();
    zeros += std::count(w.begin(), w.end(), 0.F);
    all += parameter->data.size();
  }
  return all == 0 ? 0 : static_cast<double>(zeros) / static_cast<double>(all);
}

}  // namespace ew::compress
