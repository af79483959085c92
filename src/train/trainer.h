#pragma once
// Trains a model: compile state in, fit / evaluate / predict, state out.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "ir/model.h"
#include "runtime/executor.h"
#include "train/constraint.h"
#include "train/data/batches.h"
#include "train/heads.h"
#include "train/optimizer.h"
#include "train/parameter_store.h"
#include "train/regularizer.h"

namespace ew::train {

class Trainer;

/// Acts at the end of epochs. A callback's state is saved with checkpoints, so that a resumed run
/// goes on as the interrupted one would have.
class Callback {
 public:
  virtual ~Callback() = default;
  virtual const char* name() const = 0;
  /// May add to `logs`. `epoch` counts from 0.
  virtual Status on_epoch_end(int64_t epoch, Logs& logs, Trainer& trainer) = 0;
  virtual bool wants_stop() const { return false; }
  virtual Status on_train_end(Trainer&) { return {}; }
  virtual Config state() const { return {}; }
  /// Parameters that belong to the state, as ParameterStore::snapshot() gives them; often none.
  virtual std::span<const uint8_t> kept_weights() const { return {}; }
  /// Takes back what state() and kept_weights() gave. Error kInvalidData: they do not fit.
  virtual Status restore(const Config&, std::span<const uint8_t>) { return {}; }
};

struct StepRecord {
  int64_t step = 0;  ///< counts from 0 over the whole run
  double loss = 0;
  double learning_rate = 0;  ///< the rate this step used
};

struct FitOptions {
  int64_t epochs = 1;
  int64_t initial_epoch = 0;
  int64_t max_steps = -1;  ///< stop after so many steps of this call; -1: no limit
  bool log_steps = false;  ///< fill History::steps
  BatchOptions batches;
  std::map<int64_t, double> class_weight;
  std::vector<Callback*> callbacks;
  /// After every update, with the number of updates done: may change parameters (pruning masks).
  std::function<void(int64_t step, ParameterStore& parameters)> after_update;
  /// For progress bars: step and steps of the epoch, running logs.
  std::function<void(int64_t epoch, int64_t step, int64_t steps, const Logs& logs)> on_progress;
  const std::atomic<bool>* interrupted = nullptr;
};

struct EpochRecord {
  int64_t epoch = 0;
  Logs logs;
};

struct History {
  std::vector<EpochRecord> epochs;
  std::vector<StepRecord> steps;
};

struct TrainerOptions {
  int threads = 1;
  int64_t seed = 0;
  bool profile = false;  ///< keep the time of every operator: see Trainer::profile()
};

/// Holds a copy of the model's weights and state; store() writes them back. The model is
/// specialised to each batch size it meets, once. Not thread-safe.
class Trainer {
 public:
  /// `model.compiled` must be set. Errors: those of losses, metrics and optimizers;
  /// kInvalidArgument if the model has no compiled state.
  static Result<std::unique_ptr<Trainer>> create(const ir::Model& model, TrainerOptions options);
  ~Trainer();

  /// Errors: kInvalidArgument/kInvalidData from the data; kInvalidData when the loss becomes NaN or
  /// infinite (names the step); kInterrupted.
  Result<History> fit(const SourcePtr& train, const SourcePtr& validation,
                      const FitOptions& options);
  /// One update on one batch; the loss before it.
  Result<double> train_on_batch(const Split& batch);
  /// Figures over all rows: "loss" and every metric.
  Result<Logs> evaluate(const DataSource& source, int64_t batch_size = 32);
  /// One tensor per output.
  Result<std::vector<Tensor>> predict(std::span<const Tensor> inputs, int64_t batch_size = 32);

  /// Writes weights, optimizer slots, iteration and rate into a model with the same graph.
  void store(ir::Model& model) const;

  /// With options.profile: nanoseconds by operator and layer in all training steps so far.
  std::vector<std::pair<std::string, int64_t>> profile() const;

  Optimizer& optimizer() { return *optimizer_; }
  ParameterStore& parameters() { return parameters_; }
  Heads& heads() { return heads_; }
  const ir::Model& model() const { return model_; }

 private:
  struct Program;
  struct Inference;

  Trainer() = default;
  Result<Program*> program(const Split& batch);
  Result<Inference*> inference(std::span<const Shape> shapes);
  Result<double> step(const Split& batch, const Tensor& weights);
  double add_regularizers(bool with_gradient);
  void update_parameters();
  Result<Tensor> batch_weights(const Split& batch,
                               const std::map<int64_t, double>& class_weight) const;
  Status run_epoch(int64_t epoch, Batches& batches, const FitOptions& options, History& history,
                   int64_t& steps_left);

  ir::Model model_;  // its graph keeps open shapes; its weights are stale until store()
  TrainerOptions options_;
  std::unique_ptr<ThreadPool> pool_;
  ParameterStore parameters_;
  Heads heads_;
  std::unique_ptr<Optimizer> optimizer_;
  std::vector<ParameterUpdate> updates_;
  std::vector<std::unique_ptr<Regularizer>> regularizers_;  // per parameter, or null
  std::vector<std::unique_ptr<Constraint>> constraints_;
  bool has_regularizers_ = false;
  std::vector<std::unique_ptr<Program>> programs_;
  std::vector<std::unique_ptr<Inference>> inferences_;
};

}  // namespace ew::train
