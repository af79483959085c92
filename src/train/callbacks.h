#pragma once
// Keras' callbacks under their names and defaults.

#include <limits>
#include <string>

#include "train/trainer.h"

namespace ew::train {

/// Compares a monitored figure with the best so far. `mode`: "min", "max", or "auto", which takes
/// max for names that contain acc, auc, precision, recall, f1 or iou and min for the others.
class Monitor {
 public:
  Monitor(std::string name, std::string_view mode, double min_delta);
  const std::string& name() const { return name_; }
  /// Error kInvalidArgument: no such figure; lists those there are.
  Result<double> read(const Logs& logs) const;
  bool is_better(double value, double reference) const;
  double worst() const { return is_max_ ? -kInfinity : kInfinity; }

 private:
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::string name_;
  bool is_max_;
  double min_delta_;
};

struct EarlyStoppingOptions {
  std::string monitor = "val_loss";
  double min_delta = 0;
  int64_t patience = 0;
  std::string mode = "auto";
  bool restore_best_weights = false;
  int64_t start_from_epoch = 0;
};

/// Stops after `patience` epochs without an improvement of at least min_delta.
class EarlyStopping final : public Callback {
 public:
  explicit EarlyStopping(EarlyStoppingOptions options);
  const char* name() const override { return "EarlyStopping"; }
  Status on_epoch_end(int64_t epoch, Logs& logs, Trainer& trainer) override;
  bool wants_stop() const override { return stop_; }
  Status on_train_end(Trainer& trainer) override;
  Config state() const override;
  std::span<const uint8_t> kept_weights() const override { return best_weights_; }
  Status restore(const Config& state, std::span<const uint8_t> kept_weights) override;
  int64_t best_epoch() const { return best_epoch_; }

 private:
  EarlyStoppingOptions options_;
  Monitor monitor_;
  double best_;
  int64_t wait_ = 0;
  int64_t best_epoch_ = 0;
  bool stop_ = false;
  std::vector<uint8_t> best_weights_;
};

struct ReduceLROnPlateauOptions {
  std::string monitor = "val_loss";
  double factor = 0.1;
  int64_t patience = 10;
  std::string mode = "auto";
  double min_delta = 1e-4;
  int64_t cooldown = 0;
  double min_learning_rate = 0;
};

/// Multiplies the learning rate by `factor` after `patience` epochs without improvement; adds
/// "learning_rate" to the logs. Error kInvalidArgument with a schedule, whose rate cannot be set.
class ReduceLROnPlateau final : public Callback {
 public:
  explicit ReduceLROnPlateau(ReduceLROnPlateauOptions options);
  const char* name() const override { return "ReduceLROnPlateau"; }
  Status on_epoch_end(int64_t epoch, Logs& logs, Trainer& trainer) override;
  Config state() const override;
  Status restore(const Config& state, std::span<const uint8_t> kept_weights) override;

 private:
  ReduceLROnPlateauOptions options_;
  Monitor monitor_;
  double best_;
  int64_t wait_ = 0;
  int64_t cooldown_left_ = 0;
};

/// Appends one line per epoch to a CSV file; an existing file of a resumed run is continued.
class CsvLogger final : public Callback {
 public:
  CsvLogger(std::string path, bool append) : path_(std::move(path)), append_(append) {}
  const char* name() const override { return "CSVLogger"; }
  Status on_epoch_end(int64_t epoch, Logs& logs, Trainer& trainer) override;

 private:
  std::string path_;
  bool append_;
  bool has_header_ = false;
};

struct ModelCheckpointOptions {
  std::string path;
  std::string monitor = "val_loss";
  std::string mode = "auto";
  bool save_best_only = false;
};

/// Saves the model after every epoch (or every best one). The file holds the optimizer's state, the
/// number of epochs done and the other callbacks' states, so that a killed run continues from it.
class ModelCheckpoint final : public Callback {
 public:
  using Save = std::function<Status(const ir::Model& model, const std::string& path)>;
  /// `others`: the callbacks whose state is saved too; they must run before this one.
  ModelCheckpoint(ModelCheckpointOptions options, Save save, std::vector<Callback*> others);
  const char* name() const override { return "ModelCheckpoint"; }
  Status on_epoch_end(int64_t epoch, Logs& logs, Trainer& trainer) override;
  Config state() const override;
  Status restore(const Config& state, std::span<const uint8_t> kept_weights) override;

 private:
  ModelCheckpointOptions options_;
  Monitor monitor_;
  Save save_;
  std::vector<Callback*> others_;
  double best_;
};

/// Gives the callbacks the states a checkpoint holds and returns the epochs done (0 if it holds
/// none).
Result<int64_t> restore_progress(const ir::CompiledState& compiled,
                                 std::span<Callback* const> callbacks);

}  // namespace ew::train
