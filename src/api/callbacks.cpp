#include "api/callbacks.h"

#include "formats/save.h"
#include "train/call.h"
#include "train/callbacks.h"

namespace ew::api {
namespace {

using CallbackPtr = std::unique_ptr<train::Callback>;

/// FitOptions::on_epoch_end as a callback.
class EpochEnd final : public train::Callback {
 public:
  explicit EpochEnd(std::function<bool(int64_t, const Figures&)> function)
      : function_(std::move(function)) {}
  const char* name() const override { return "on_epoch_end"; }
  Status on_epoch_end(int64_t epoch, train::Logs& logs, train::Trainer&) override {
    stop_ = !function_(epoch, to_figures(logs));
    return {};
  }
  bool wants_stop() const override { return stop_; }

 private:
  std::function<bool(int64_t, const Figures&)> function_;
  bool stop_ = false;
};

Status save_checkpoint(const ir::Model& model, const std::string& path) {
  EW_TRY([[maybe_unused]] const formats::SaveReport report, formats::save_model(model, path, {}));
  return {};
}

Result<CallbackPtr> make_early_stopping(const Config& c) {
  train::EarlyStoppingOptions o;
  EW_TRY(o.monitor, c.get_string("monitor", o.monitor));
  EW_TRY(o.mode, c.get_string("mode", o.mode));
  EW_TRY(o.min_delta, c.get_double("min_delta", o.min_delta));
  EW_TRY(o.patience, c.get_int("patience", o.patience));
  EW_TRY(o.restore_best_weights, c.get_bool("restore_best_weights", false));
  EW_TRY(o.start_from_epoch, c.get_int("start_from_epoch", 0));
  if (!c["baseline"].is_null()) return unsupported("EarlyStopping: baseline");
  return CallbackPtr(std::make_unique<train::EarlyStopping>(std::move(o)));
}

Result<CallbackPtr> make_reduce_on_plateau(const Config& c) {
  train::ReduceLROnPlateauOptions o;
  EW_TRY(o.monitor, c.get_string("monitor", o.monitor));
  EW_TRY(o.mode, c.get_string("mode", o.mode));
  EW_TRY(o.factor, c.get_double("factor", o.factor));
  EW_TRY(o.patience, c.get_int("patience", o.patience));
  EW_TRY(o.min_delta, c.get_double("min_delta", o.min_delta));
  EW_TRY(o.cooldown, c.get_int("cooldown", o.cooldown));
  EW_TRY(o.min_learning_rate, c.get_double("min_lr", o.min_learning_rate));
  return CallbackPtr(std::make_unique<train::ReduceLROnPlateau>(std::move(o)));
}

Result<CallbackPtr> make_csv_logger(const Config& c) {
  EW_TRY(const std::string path, c.get_string("filename", ""));
  EW_TRY(const std::string separator, c.get_string("separator", ","));
  EW_TRY(const bool append, c.get_bool("append", false));
  if (path.empty()) return invalid_argument("CSVLogger: expected a filename");
  if (separator != ",") return unsupported("CSVLogger: a separator other than ','");
  return CallbackPtr(std::make_unique<train::CsvLogger>(path, append));
}

/// `others`: the callbacks whose state the file holds.
Result<CallbackPtr> make_checkpoint(const Config& c, std::vector<train::Callback*> others) {
  train::ModelCheckpointOptions o;
  EW_TRY(o.path, c.get_string("filepath", ""));
  EW_TRY(o.monitor, c.get_string("monitor", o.monitor));
  EW_TRY(o.mode, c.get_string("mode", o.mode));
  EW_TRY(o.save_best_only, c.get_bool("save_best_only", false));
  EW_TRY(const bool weights_only, c.get_bool("save_weights_only", false));
  if (o.path.empty()) return invalid_argument("ModelCheckpoint: expected a filepath");
  if (o.path.find('{') != std::string::npos) {
    return unsupported("ModelCheckpoint: figures in the file name (", o.path, ")");
  }
  if (weights_only) return unsupported("ModelCheckpoint: save_weights_only");
  if (c.has("save_freq") && c["save_freq"].as_string() != "epoch") {
    return unsupported("ModelCheckpoint: save_freq other than 'epoch'");
  }
  if (!c["initial_value_threshold"].is_null()) {
    return unsupported("ModelCheckpoint: initial_value_threshold");
  }
  return CallbackPtr(
      std::make_unique<train::ModelCheckpoint>(std::move(o), save_checkpoint, std::move(others)));
}

Result<CallbackPtr> make_callback(const std::string& name, const Config& config) {
  if (name == "EarlyStopping") return make_early_stopping(config);
  if (name == "ReduceLROnPlateau") return make_reduce_on_plateau(config);
  if (name == "CSVLogger") return make_csv_logger(config);
  return invalid_argument("unknown callback '", name,
                          "'; known: EarlyStopping, ReduceLROnPlateau, ModelCheckpoint, CSVLogger, "
                          "TerminateOnNaN");
}

}  // namespace

std::vector<train::Callback*> Callbacks::all() const {
  std::vector<train::Callback*> pointers;
  for (const auto& callback : owned) pointers.push_back(callback.get());
  return pointers;
}

Figures to_figures(const train::Logs& logs) { return {logs.begin(), logs.end()}; }

Result<Callbacks> make_callbacks(const FitOptions& options) {
  Callbacks callbacks;
  std::vector<Config> checkpoints;
  for (const std::string& text : options.callbacks) {
    EW_TRY(const Config call, train::parse_call(text));
    const std::string& name = call["class_name"].as_string();
    if (name == "TerminateOnNaN") continue;  // training always ends there, with an error
    if (name == "ModelCheckpoint") {
      checkpoints.push_back(call["config"]);
      continue;
    }
    EW_TRY(CallbackPtr callback, make_callback(name, call["config"]));
    callbacks.owned.push_back(std::move(callback));
  }
  if (!options.csv_log.empty()) {
    callbacks.owned.push_back(
        std::make_unique<train::CsvLogger>(options.csv_log, !options.resume.empty()));
  }
  if (options.on_epoch_end) {
    callbacks.owned.push_back(std::make_unique<EpochEnd>(options.on_epoch_end));
  }
  if (!options.checkpoint.empty()) {
    checkpoints.push_back(Config::Map{{"filepath", options.checkpoint}});
  }
  for (const Config& config : checkpoints) {
    EW_TRY(CallbackPtr callback, make_checkpoint(config, callbacks.all()));
    callbacks.owned.push_back(std::move(callback));
  }
  return callbacks;
}

}  // namespace ew::api
