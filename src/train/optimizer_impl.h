#pragma once
// What optimizer.cpp (arguments, state) and optimizer_step.cpp (one step) share.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "train/optimizer.h"
#include "train/optimizer_rule.h"
#include "train/schedule.h"

namespace ew::train {

struct Clipping {
  enum Kind { kNone, kNorm, kGlobalNorm, kValue } kind = kNone;
  float limit = 0;
};

/// One array over all parameters, parameter i at offsets[i].
struct SlotBuffer {
  SlotDef def;
  std::vector<Shape> shapes;
  std::vector<int64_t> offsets;
  std::vector<float> data;

  SlotBuffer(SlotDef slot, std::vector<Shape> parameter_shapes);
  std::string key(size_t i) const { return str(def.name, '/', i); }
  float* at(size_t i) { return data.data() + offsets[i]; }
  const float* at(size_t i) const { return data.data() + offsets[i]; }
};

/// State of an optimizer: arguments, slots and scratch memory.
struct Optimizer::Impl {
  ir::KerasGeneration generation = ir::KerasGeneration::kKeras3;
  const OptimizerClass* type = nullptr;
  Config arguments;
  std::unique_ptr<Schedule> schedule;  // a Constant if the rate is a number
  double decay = 0;                    // Keras 2's legacy argument
  std::unique_ptr<UpdateRule> rule;
  Clipping clipping;
  float weight_decay = 0;
  bool has_weight_decay = false;
  float loss_scale = 0;  // 0: none
  int64_t accumulation_steps = 0;
  bool use_ema = false;
  double ema_momentum = 0;
  int64_t ema_overwrite_frequency = 0;

  int64_t iterations = 0;
  std::vector<Shape> shapes;
  std::vector<int64_t> sizes;
  std::vector<SlotBuffer> slots;         // the rule's
  std::unique_ptr<SlotBuffer> average;   // use_ema
  std::unique_ptr<SlotBuffer> gathered;  // gradients so far, with accumulation
  bool is_average_started = false;
  std::vector<float> scratch;  // gradients after scaling, accumulation and clipping
  std::vector<ParameterUpdate> updates;
  std::vector<Block> tasks;

  bool is_keras2() const { return generation == ir::KerasGeneration::kKeras2; }
  /// Updates so far: what Keras calls `iterations`, as opposed to the variable "iteration".
  int64_t updates_done() const {
    return accumulation_steps > 0 ? iterations / accumulation_steps : iterations;
  }
  bool needs_scratch() const {
    return loss_scale != 0 || accumulation_steps > 0 || clipping.kind != Clipping::kNone;
  }

  Status read_shared_arguments();
  // One step, in this order (optimizer_step.cpp).
  void copy_gradients();
  /// Adds the gradients to those gathered so far; true if this step updates with their mean.
  bool accumulate();
  void clip();
  void decay_weights(float rate);
  void update(float rate, ThreadPool* pool);
  /// Cuts parameters [first, last), which follow each other in memory, into tasks.
  void add_tasks(size_t first, size_t last);
  void update_average();
  void overwrite_with_average();
  /// The rule's slots, then the average and the gathered gradients if there are any.
  std::vector<SlotBuffer*> buffers();
};

}  // namespace ew::train
