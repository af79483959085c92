// One step of any optimizer: scale, gather and clip the gradients, decay the weights, apply the
// rule, follow the average. In Keras' order.
#include <algorithm>
#include <cmath>

#include "train/optimizer_impl.h"

namespace ew::train {
namespace {

/// Elements per task: large enough to hide the cost of a task, small enough to balance.
constexpr int64_t kChunk = 32768;

double square_sum(const float* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

void scale(float* x, int64_t n, float factor) {
  for (int64_t i = 0; i < n; ++i) x[i] *= factor;
}

}  // namespace

void Optimizer::Impl::copy_gradients() {
  float* to = scratch.data();
  for (ParameterUpdate& u : updates) {
    if (loss_scale != 0) {
      for (int64_t i = 0; i < u.size; ++i) to[i] = u.gradient[i] / loss_scale;
    } else {
      std::copy_n(u.gradient, u.size, to);
    }
    u.gradient = to;
    to += u.size;
  }
}

bool Optimizer::Impl::accumulate() {
  if (accumulation_steps == 0) return true;
  const bool is_last = (iterations + 1) % accumulation_steps == 0;
  std::vector<float>& sum = gathered->data;
  const float steps = static_cast<float>(accumulation_steps);
  for (size_t i = 0; i < sum.size(); ++i) {
    if (is_last) {
      scratch[i] = (scratch[i] + sum[i]) / steps;
      sum[i] = 0;
    } else {
      sum[i] += scratch[i];
    }
  }
  return is_last;
}

void Optimizer::Impl::clip() {
  const float limit = clipping.limit;
  const int64_t total = static_cast<int64_t>(scratch.size());
  switch (clipping.kind) {
    case Clipping::kNone:
      break;
    case Clipping::kValue:
      for (float& g : scratch) g = std::clamp(g, -limit, limit);
      break;
    case Clipping::kGlobalNorm: {
      const float norm = static_cast<float>(std::sqrt(square_sum(scratch.data(), total)));
      // A norm that is not finite makes every gradient NaN, as in Keras.
      const float factor = limit * std::min(1.0f / norm, 1.0f / limit) + (norm - norm);
      scale(scratch.data(), total, factor);
      break;
    }
    case Clipping::kNorm: {
      float* g = scratch.data();
      for (const int64_t size : sizes) {
        const float norm = static_cast<float>(std::sqrt(square_sum(g, size)));
        const float divisor = std::max(norm, limit);
        for (int64_t i = 0; i < size; ++i) g[i] = g[i] * limit / divisor;
        g += size;
      }
      break;
    }
  }
}

void Optimizer::Impl::decay_weights(float rate) {
  if (!has_weight_decay) return;
  for (const ParameterUpdate& u : updates) {
    for (int64_t i = 0; i < u.size; ++i) u.value[i] -= u.value[i] * weight_decay * rate;
  }
}

void Optimizer::Impl::add_tasks(size_t first, size_t last) {
  Block block{0, updates[first].value, updates[first].gradient, {}, &shapes[first]};
  for (size_t i = first; i < last; ++i) block.size += updates[i].size;
  for (size_t s = 0; s < slots.size(); ++s) block.slots[s] = slots[s].at(first);
  if (!rule->is_elementwise()) {
    tasks.push_back(block);
    return;
  }
  while (block.size > 0) {
    Block part = block;
    part.size = std::min(block.size, kChunk);
    tasks.push_back(part);
    block.size -= part.size;
    block.value += part.size;
    block.gradient += part.size;
    for (size_t s = 0; s < slots.size(); ++s) block.slots[s] += part.size;
  }
}

void Optimizer::Impl::update(float rate, ThreadPool* pool) {
  rule->begin(rate, updates_done() + 1);
  tasks.clear();
  size_t first = 0;
  for (size_t i = 1; i <= updates.size(); ++i) {
    const bool continues = i < updates.size() && rule->is_elementwise() &&
                           updates[i].value == updates[i - 1].value + updates[i - 1].size &&
                           updates[i].gradient == updates[i - 1].gradient + updates[i - 1].size;
    if (continues) continue;
    add_tasks(first, i);
    first = i;
  }
  const int64_t count = static_cast<int64_t>(tasks.size());
  const auto run = [this](int64_t i) { rule->update(tasks[static_cast<size_t>(i)]); };
  if (pool && count > 1) {
    pool->run(count, run);
  } else {
    for (int64_t i = 0; i < count; ++i) run(i);
  }
}

void Optimizer::Impl::update_average() {
  // Keras 3 forgets the zeros it starts from in the first step; Keras 2 starts from the values.
  float momentum = static_cast<float>(ema_momentum);
  float rest = static_cast<float>(1.0 - ema_momentum);
  if (!is_keras2()) {
    if (updates_done() == 0) momentum = 0;
    rest = 1.0f - momentum;
  }
  float* mean = average->data.data();
  for (const ParameterUpdate& u : updates) {
    for (int64_t i = 0; i < u.size; ++i) mean[i] = momentum * mean[i] + rest * u.value[i];
    mean += u.size;
  }
}

void Optimizer::Impl::overwrite_with_average() {
  const float* mean = average->data.data();
  for (const ParameterUpdate& u : updates) {
    std::copy_n(mean, u.size, u.value);
    mean += u.size;
  }
}

}  // namespace ew::train
