#pragma once
// What compile() and fit() take, in Keras' words.
//
// Optimizers, schedules, losses and metrics are given by a Keras name or call, as on the command
// line: "adam", "SGD(0.01, momentum=0.9)", "ExponentialDecay(0.01, decay_steps=10000,
// decay_rate=0.9)". The functions below write such calls for the usual ones.

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "edgewise/result.h"

namespace ew {

/// A learning rate: a number, or a schedule as a call.
struct LearningRate {
  std::string call;
  LearningRate(double rate);                                         // NOLINT: implicit on purpose
  LearningRate(std::string schedule) : call(std::move(schedule)) {}  // NOLINT: implicit on purpose
};

struct ExponentialDecayOptions {
  double initial_learning_rate = 0.01;
  int64_t decay_steps = 10000;
  double decay_rate = 0.9;
  bool staircase = false;
};
/// initial_learning_rate * decay_rate ^ (step / decay_steps).
LearningRate ExponentialDecay(const ExponentialDecayOptions& options);

/// An optimizer as a call.
struct OptimizerCall {
  std::string call;
  OptimizerCall(std::string text) : call(std::move(text)) {}  // NOLINT: implicit on purpose
  OptimizerCall(const char* text) : call(text) {}             // NOLINT: implicit on purpose
};

struct AdamOptions {
  LearningRate learning_rate = 0.001;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;
};
OptimizerCall Adam(const AdamOptions& options = {});

struct SgdOptions {
  LearningRate learning_rate = 0.01;
  double momentum = 0;
  bool nesterov = false;
};
OptimizerCall SGD(const SgdOptions& options = {});

/// What is left empty stays as the model was compiled before; a model that never was gets Keras'
/// default optimizer (rmsprop) and needs a loss to be trained.
struct CompileOptions {
  /// Forgets how the model was compiled before, as Keras' compile() does.
  bool is_fresh = false;
  OptimizerCall optimizer = "";
  /// Replaces the optimizer's rate: "0.001" or a schedule.
  std::string learning_rate = "";
  /// One loss for all outputs, or one per output.
  std::vector<std::string> losses = {};
  std::string loss = "";  ///< shorthand for one entry of `losses`
  std::vector<std::string> metrics = {};
  std::vector<double> loss_weights = {};
};

/// Named figures in the order in which Keras prints them: "loss", "accuracy", "val_loss", ...
using Figures = std::vector<std::pair<std::string, double>>;

struct FitOptions {
  int64_t epochs = 1;
  int64_t batch_size = 32;
  int64_t max_steps = -1;  ///< stop after so many updates; -1: no limit
  bool shuffle = true;
  uint64_t seed = 0;
  bool log_steps = false;
  std::map<int64_t, double> class_weight = {};
  std::string augment = "";  ///< "flip,shift=0.1,..." (docs/guide/data.md)
  /// Keras callbacks as calls: "EarlyStopping(monitor='val_loss', patience=3)",
  /// "ReduceLROnPlateau(factor=0.2, patience=5)", "CSVLogger('log.csv')",
  /// "ModelCheckpoint('best.h5', save_best_only=True)".
  std::vector<std::string> callbacks = {};
  std::string checkpoint = "";  ///< file written after every epoch
  std::string resume = "";      ///< checkpoint to continue from
  std::string csv_log = "";
  int threads = 1;
  /// Epoch (from 0), step and steps of the epoch, running figures.
  std::function<void(int64_t, int64_t, int64_t, const Figures&)> on_progress = {};
  /// After each epoch (from 0) and the callbacks above, with the figures of both parts; false ends
  /// the training.
  std::function<bool(int64_t, const Figures&)> on_epoch_end = {};
  const std::atomic<bool>* interrupted = nullptr;
};

struct StepFigures {
  int64_t step = 0;
  double loss = 0;
  double learning_rate = 0;
};

struct History {
  std::vector<Figures> epochs;     ///< of the epochs this call ran
  int64_t first_epoch = 0;         ///< number of the first of them
  std::vector<StepFigures> steps;  ///< with log_steps
  std::vector<std::string> notes;  ///< what the data check wants to tell
};

}  // namespace ew
