#pragma once
// The arithmetic of one optimizer class, without what all of them share (rate, clipping, decay,
// averages: optimizer.cpp). Internal to train.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"
#include "base/shape.h"
#include "ir/model.h"
#include "train/arguments.h"

namespace ew::train {

inline constexpr size_t kMaxSlots = 3;

struct SlotDef {
  const char* name = "";  ///< canonical: Keras 3's name
  float initial = 0;
};

/// Equally long pieces of parameters, gradients and slots: all parameters in one, a part of one, or
/// exactly one parameter (for rules that are not elementwise).
struct Block {
  int64_t size = 0;
  float* value = nullptr;
  const float* gradient = nullptr;
  std::array<float*, kMaxSlots> slots{};
  const Shape* shape = nullptr;  ///< of the parameter, for rules that are not elementwise
};

class UpdateRule {
 public:
  virtual ~UpdateRule() = default;
  virtual std::vector<SlotDef> slots() const = 0;
  /// False if the update of one element depends on others of its parameter (norms, means).
  virtual bool is_elementwise() const { return true; }
  virtual Shape slot_shape(size_t slot, const Shape& parameter) const {
    (void)slot;
    return parameter;
  }
  /// Computes what is the same for all elements of update `step` (1 for the first).
  virtual void begin(float rate, int64_t step) = 0;
  /// Called for any number of blocks after begin(), from several threads.
  virtual void update(const Block& block) const = 0;
  /// Nadam's product of momenta, which is part of its state; null for the others.
  virtual float* schedule_product() { return nullptr; }
};

/// One optimizer class: its arguments with their defaults, in the order of Keras' get_config.
struct OptimizerClass {
  const char* name;
  Config (*defaults)(ir::KerasGeneration);
  Result<std::unique_ptr<UpdateRule>> (*make)(const Config& arguments, ir::KerasGeneration);
};

/// The class of that name in any spelling.
/// Errors: kInvalidArgument for an unknown name, kUnsupported for Keras' others.
Result<const OptimizerClass*> find_optimizer_class(std::string_view name);

/// The arguments of `config` over the class's defaults and those that all optimizers share.
/// Understands Keras 2's "lr" and "decay".
Config complete_arguments(const OptimizerClass& optimizer, const Config& config,
                          ir::KerasGeneration generation);

/// Makes a rule from its arguments; for OptimizerClass::make.
template <typename Rule>
Result<std::unique_ptr<UpdateRule>> make_rule(const Config& arguments, ir::KerasGeneration) {
  ArgumentReader reader(arguments);
  std::unique_ptr<UpdateRule> rule = std::make_unique<Rule>(reader);
  EW_TRY_VOID(reader.status());
  return rule;
}

// optimizer_sgd.cpp: SGD, RMSprop, Adagrad, Adadelta, Ftrl, Lion.
extern const OptimizerClass kSgd, kRmsprop, kAdagrad, kAdadelta, kFtrl, kLion;
// optimizer_adam.cpp: Adam, AdamW, Adamax, Nadam, Lamb.
extern const OptimizerClass kAdam, kAdamW, kAdamax, kNadam, kLamb;
// optimizer_adafactor.cpp
extern const OptimizerClass kAdafactor;

}  // namespace ew::train
