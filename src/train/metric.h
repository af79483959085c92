#pragma once
// Keras' metrics: streaming means, confusion counts, curves and scores.

#include <memory>
#include <string>
#include <vector>

#include "base/config.h"
#include "ir/tensor.h"

namespace ew::train {

/// What "accuracy" and "crossentropy" need to know, and what metrics with one state per class size
/// themselves by. Batch dimensions may be kUnknown.
struct MetricContext {
  Shape prediction;
  Shape target;
};

class Metric {
 public:
  /// From a name ("accuracy", "mse", "AUC"), {"class_name", "config"} of either generation, or
  /// Keras 2's MeanMetricWrapper with "fn".
  /// Errors: kInvalidArgument (unknown name, value out of range), kInvalidData (wrong kind).
  static Result<std::unique_ptr<Metric>> create(const Config& config, const MetricContext& context);
  virtual ~Metric() = default;

  /// As it appears in the history: the config's name, the word it was asked for ("acc"), or Keras'
  /// default.
  const std::string& name() const { return name_; }

  /// Adds a batch: `prediction` [N, ..., K] and `target` as for losses; `sample_weight` (f32, [N]
  /// or broadcasting from the left) and `mask` are optional.
  /// Error kInvalidArgument if the shapes do not fit; then nothing is added.
  virtual Status update(const ir::ConstTensorView& prediction, const ir::ConstTensorView& target,
                        const ir::ConstTensorView& sample_weight,
                        const ir::ConstTensorView& mask = {}) = 0;
  /// One value, or several (per threshold, per class). 0 before the first batch, as Keras has it.
  virtual std::vector<float> result() const = 0;
  virtual void reset() = 0;

 protected:
  void set_name(std::string name) { name_ = std::move(name); }

 private:
  std::string name_;
};

}  // namespace ew::train
