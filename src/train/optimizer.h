#pragma once
// Keras' optimizers: SGD, RMSprop, Adam, AdamW, Adamax, Nadam, Adagrad, Adadelta, Ftrl, Lion,
// Adafactor, Lamb, with weight decay, clipping, moving averages and gradient accumulation.
// Float32 in Keras' order of operations; the sources are the papers Keras names for each.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/config.h"
#include "base/shape.h"
#include "base/thread_pool.h"
#include "ir/model.h"
#include "ir/tensor.h"

namespace ew::train {

/// A trainable parameter as the optimizer sees it.
struct ParameterSpec {
  std::string name;  ///< Keras' path, "dense/kernel" or "sequential/dense/kernel"
  Shape shape;
};

/// One parameter in one step. `value` is updated in place; neither pointer is kept.
struct ParameterUpdate {
  float* value = nullptr;
  const float* gradient = nullptr;
  int64_t size = 0;
};

class Optimizer {
 public:
  /// From a Keras name ("adam", "SGD") or {"class_name": "Adam", "config": {...}}; "Custom>Adam"
  /// and Keras 2's legacy arguments ("lr", "decay") are understood. Missing arguments take the
  /// defaults of `generation`.
  /// Errors: kInvalidArgument (unknown class, value out of range), kInvalidData (wrong kind),
  /// kUnsupported (LossScaleOptimizer, Muon, MultiOptimizer, ScheduleFreeAdamW).
  static Result<std::unique_ptr<Optimizer>> create(const Config& config,
                                                   ir::KerasGeneration generation);
  ~Optimizer();

  /// Allocates zeroed (or initial) slots for these parameters. Again: starts afresh.
  Status build(std::span<const ParameterSpec> parameters);

  /// One step over all parameters, in the order of build(). Parameters whose values and gradients
  /// follow each other in memory are updated as one array. `pool` may be null; the result does not
  /// depend on the number of threads. Allocates nothing after the first call.
  void apply(std::span<const ParameterUpdate> parameters, ThreadPool* pool);

  /// At the end of training: with use_ema, overwrites the values with their moving averages.
  void finalize(std::span<const ParameterUpdate> parameters);

  /// Calls of apply() so far (Keras' "iteration" variable).
  int64_t iterations() const;
  void set_iterations(int64_t iterations);

  /// The rate the next apply() will use.
  double learning_rate_now() const;
  /// Error kInvalidArgument if the rate is a schedule.
  Status set_learning_rate(double rate);
  bool has_schedule() const;

  /// The state in canonical form: "<slot>/<parameter index>" and scalars ("schedule_product").
  /// Slots carry Keras 3's names: momentum, velocity, velocity_hat, norm, accumulator,
  /// accumulated_grad, accumulated_delta_var, linear, average_gradient, row, column (Adafactor),
  /// average (EMA), gradient_accumulator.
  std::map<std::string, ir::Tensor> slots() const;
  /// Takes over a state; build() must have been called. Slots this optimizer has not are ignored
  /// (Keras 2 stores a momentum for plain SGD). Errors kInvalidData: one that it needs is missing
  /// or has another shape; then nothing is changed.
  Status restore_slots(const std::map<std::string, ir::Tensor>& slots);

  /// {"class_name", "config"} with every argument of `generation`, the current rate included.
  Config config() const;

 private:
  struct Impl;
  explicit Optimizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ew::train
