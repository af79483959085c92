// Calls as the command line takes them, and the objects they describe.
#include "ops/signal/features.h"
#include "targets.h"
#include "train/call.h"
#include "train/constraint.h"
#include "train/feature_call.h"
#include "train/loss.h"
#include "train/metric.h"
#include "train/optimizer.h"
#include "train/regularizer.h"
#include "train/schedule.h"

namespace ew::fuzz {
namespace {

void train_a_step(train::Optimizer& optimizer) {
  const std::vector<train::ParameterSpec> specs = {{"dense/kernel", {3, 2}}, {"dense/bias", {2}}};
  if (!optimizer.build(specs).ok()) return;
  float values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  const float gradients[8] = {1, -1, 2, -2, 0, 0.5f, 1, 1};
  const train::ParameterUpdate updates[] = {{values, gradients, 6}, {values + 6, gradients + 6, 2}};
  for (int i = 0; i < 2; ++i) optimizer.apply(updates, nullptr);
  optimizer.finalize(updates);
  (void)optimizer.slots();
}

}  // namespace

void call_text(Bytes bytes) {
  const Result<Config> chain = train::parse_features(text_of(bytes));
  if (chain.ok()) {
    (void)ops::signal::feature_graph(*chain, {DType::kF32, Shape{kUnknown, 64}, nullptr});
    (void)ops::signal::feature_input(*chain);
  }
  const Result<Config> config = train::parse_call(text_of(bytes));
  if (!config.ok()) return;
  for (const auto generation : {ir::KerasGeneration::kKeras2, ir::KerasGeneration::kKeras3}) {
    const auto optimizer = train::Optimizer::create(*config, generation);
    if (optimizer.ok()) train_a_step(**optimizer);
  }
  (void)train::Loss::create(*config);
  (void)train::Metric::create(*config, {.prediction = {kUnknown, 3}, .target = {kUnknown, 3}});
  (void)train::make_schedule(*config);
  (void)train::make_regularizer(*config);
  (void)train::make_constraint(*config);
}

}  // namespace ew::fuzz
