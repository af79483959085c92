#include "train/callbacks.h"

#include <algorithm>
#include <cstdio>

#include "base/file.h"

namespace ew::train {
namespace {

bool means_higher_is_better(std::string_view name) {
  for (const char* word : {"acc", "auc", "precision", "recall", "f1", "fbeta", "iou", "r2"}) {
    if (name.find(word) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

Monitor::Monitor(std::string name, std::string_view mode, double min_delta)
    : name_(std::move(name)),
      is_max_(mode == "max" || (mode != "min" && means_higher_is_better(name_))),
      min_delta_(std::abs(min_delta)) {}

Result<double> Monitor::read(const Logs& logs) const {
  if (const double* value = find_log(logs, name_)) return *value;
  std::vector<std::string> names;
  for (const auto& [name, value] : logs) names.push_back(name);
  return invalid_argument("monitor '", name_,
                          "' is not among the figures of this run: ", join(names, ", "));
}

bool Monitor::is_better(double value, double reference) const {
  return is_max_ ? value - min_delta_ > reference : value + min_delta_ < reference;
}

EarlyStopping::EarlyStopping(EarlyStoppingOptions options)
    : options_(std::move(options)),
      monitor_(options_.monitor, options_.mode, options_.min_delta),
      best_(monitor_.worst()) {}

Status EarlyStopping::on_epoch_end(int64_t epoch, Logs& logs, Trainer& trainer) {
  if (epoch < options_.start_from_epoch) return {};
  EW_TRY(const double value, monitor_.read(logs));
  if (options_.restore_best_weights && best_weights_.empty()) {
    best_weights_ = trainer.parameters().snapshot();
    best_epoch_ = epoch;
  }
  ++wait_;
  if (monitor_.is_better(value, best_)) {
    best_ = value;
    best_epoch_ = epoch;
    wait_ = 0;
    if (options_.restore_best_weights) best_weights_ = trainer.parameters().snapshot();
  } else if (wait_ >= options_.patience && epoch > 0) {
    stop_ = true;
  }
  return {};
}

Status EarlyStopping::on_train_end(Trainer& trainer) {
  if (options_.restore_best_weights && !best_weights_.empty()) {
    if (best_weights_.size() != trainer.parameters().snapshot().size()) {
      return invalid_data("the best weights in the checkpoint are those of another model");
    }
    trainer.parameters().restore(best_weights_);
  }
  return {};
}

Config EarlyStopping::state() const {
  return Config::Map{{"best", best_},
                     {"wait", wait_},
                     {"best_epoch", best_epoch_},
                     {"keeps_weights", !best_weights_.empty()}};
}

Status EarlyStopping::restore(const Config& state, std::span<const uint8_t> kept_weights) {
  if (state["keeps_weights"].as_bool() && kept_weights.empty()) {
    return invalid_data("the checkpoint lacks the best weights; an .h5 checkpoint holds them");
  }
  best_weights_.assign(kept_weights.begin(), kept_weights.end());
  best_ = state["best"].as_double(best_);
  wait_ = state["wait"].as_int();
  best_epoch_ = state["best_epoch"].as_int();
  return {};
}

ReduceLROnPlateau::ReduceLROnPlateau(ReduceLROnPlateauOptions options)
    : options_(std::move(options)),
      monitor_(options_.monitor, options_.mode, options_.min_delta),
      best_(monitor_.worst()) {}

Status ReduceLROnPlateau::on_epoch_end(int64_t, Logs& logs, Trainer& trainer) {
  Optimizer& optimizer = trainer.optimizer();
  if (optimizer.has_schedule()) {
    return invalid_argument(
        "ReduceLROnPlateau needs a plain learning rate, and this optimizer "
        "has a schedule");
  }
  const double rate = optimizer.learning_rate_now();
  logs.emplace_back("learning_rate", rate);
  EW_TRY(const double value, monitor_.read(logs));
  if (cooldown_left_ > 0) {
    --cooldown_left_;
    wait_ = 0;
  }
  if (monitor_.is_better(value, best_)) {
    best_ = value;
    wait_ = 0;
  } else if (cooldown_left_ == 0 && ++wait_ >= options_.patience &&
             rate > options_.min_learning_rate) {
    EW_TRY_VOID(
        optimizer.set_learning_rate(std::max(rate * options_.factor, options_.min_learning_rate)));
    cooldown_left_ = options_.cooldown;
    wait_ = 0;
  }
  return {};
}

Config ReduceLROnPlateau::state() const {
  return Config::Map{{"best", best_}, {"wait", wait_}, {"cooldown_left", cooldown_left_}};
}

Status ReduceLROnPlateau::restore(const Config& state, std::span<const uint8_t>) {
  best_ = state["best"].as_double(best_);
  wait_ = state["wait"].as_int();
  cooldown_left_ = state["cooldown_left"].as_int();
  return {};
}

Status CsvLogger::on_epoch_end(int64_t epoch, Logs& logs, Trainer&) {
  const bool is_new = !has_header_ && (!append_ || !file_exists(path_));
  std::FILE* file = std::fopen(path_.c_str(), is_new ? "w" : "a");
  if (file == nullptr) return make_error(ErrorCode::kIo, path_, ": cannot write the CSV log");
  std::string text;
  if (is_new) {
    text = "epoch";
    for (const auto& [name, value] : logs) text += "," + name;
    text += "\n";
  }
  text += str(epoch);
  for (const auto& [name, value] : logs) text += str(",", value);
  text += "\n";
  const bool ok = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (std::fclose(file) != 0 || !ok) {
    return make_error(ErrorCode::kIo, path_, ": cannot write the CSV log");
  }
  has_header_ = true;
  return {};
}

ModelCheckpoint::ModelCheckpoint(ModelCheckpointOptions options, Save save,
                                 std::vector<Callback*> others)
    : options_(std::move(options)),
      monitor_(options_.monitor, options_.mode, 0),
      save_(std::move(save)),
      others_(std::move(others)),
      best_(monitor_.worst()) {}

Status ModelCheckpoint::on_epoch_end(int64_t epoch, Logs& logs, Trainer& trainer) {
  if (options_.save_best_only) {
    EW_TRY(const double value, monitor_.read(logs));
    if (!monitor_.is_better(value, best_)) return {};
    best_ = value;
  }
  ir::Model model = trainer.model();
  trainer.store(model);
  Config states = Config::map();
  for (const Callback* other : others_) {
    states.set(other->name(), other->state());
    const std::span<const uint8_t> kept = other->kept_weights();
    if (kept.empty()) continue;
    model.compiled->kept_weights[other->name()] =
        ir::Tensor::from(kept, Shape{static_cast<int64_t>(kept.size())});
  }
  states.set(name(), state());
  model.compiled->progress = Config::Map{{"epochs_done", epoch + 1}, {"callbacks", states}};
  return save_(model, options_.path);
}

Config ModelCheckpoint::state() const { return Config::Map{{"best", best_}}; }

Status ModelCheckpoint::restore(const Config& state, std::span<const uint8_t>) {
  best_ = state["best"].as_double(best_);
  return {};
}

Result<int64_t> restore_progress(const ir::CompiledState& compiled,
                                 std::span<Callback* const> callbacks) {
  const Config& states = compiled.progress["callbacks"];
  for (Callback* callback : callbacks) {
    if (!states.has(callback->name())) continue;
    const auto found = compiled.kept_weights.find(callback->name());
    std::span<const uint8_t> kept;
    if (found != compiled.kept_weights.end()) kept = found->second.values<uint8_t>();
    const Status status = callback->restore(states[callback->name()], kept);
    if (!status.ok()) return at(callback->name(), status.error());
  }
  return compiled.progress["epochs_done"].as_int();
}

}  // namespace ew::train
