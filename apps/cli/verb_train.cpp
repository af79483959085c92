// edgewise train
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "common.h"
#include "report.h"
#include "train_flags.h"
#include "verbs.h"

namespace ew::cli {
namespace {

struct TrainOptions {
  Common common;
  TrainFlags flags;
  std::string model;
  std::vector<std::string> outputs;
};

Error usage(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

/// "0=1.5,3=2" as class weights.
Result<std::map<int64_t, double>> parse_class_weight(const std::string& text) {
  std::map<int64_t, double> weights;
  for (const std::string& part : split_calls(text)) {
    const size_t equals = part.find('=');
    char* end = nullptr;
    const int64_t label = std::strtoll(part.c_str(), &end, 10);
    if (equals == std::string::npos || end != part.c_str() + equals) {
      return usage("--class-weight: expected CLASS=WEIGHT pairs such as 0=1,1=2.5, found '" + part +
                   "'");
    }
    const Result<double> weight = parse_ratio(part.substr(equals + 1));
    if (!weight.ok()) return usage("--class-weight: " + weight.error().message);
    weights[label] = *weight;
  }
  return weights;
}

int run_train(const TrainOptions& o) {
  const Result<KerasVersion> version = parse_keras_version(o.flags.keras_version);
  if (!version.ok()) return fail(version.error());
  Result<Model> model = load(o.model, o.common);
  if (!model.ok()) return fail(model.error());
  const Result<Data> data = open_data(*model, o.flags, o.common);
  if (!data.ok()) return fail(data.error());
  if (const auto done = compile_from_flags(*model, o.flags); !done.ok()) return fail(done.error());
  Result<FitOptions> fit = fit_options(o.flags, o.common);
  if (!fit.ok()) return fail(fit.error());
  Progress progress(o.common);
  fit->interrupted = catch_interrupts();
  fit->on_progress = [&](int64_t epoch, int64_t step, int64_t steps, const Figures& figures) {
    progress.update(epoch + 1, o.flags.epochs, step, steps, figures);
  };
  const Result<History> history = model->fit(*data, *fit);
  progress.finish_line();
  if (!history.ok()) return fail(history.error());
  std::vector<std::string> notes = history->notes;
  for (const std::string& path : o.outputs) {
    const auto saved = save(*model, path, {.keras_version = *version});
    if (!saved.ok()) return fail(saved.error());
    notes.insert(notes.end(), saved->begin(), saved->end());
  }
  for (const std::string& note : notes) say(o.common, note);
  if (o.common.json) {
    std::puts(history_json(*history, o.outputs[0], notes).c_str());
    return 0;
  }
  int64_t epoch = history->first_epoch;
  for (const Figures& figures : history->epochs) {
    std::printf("epoch %lld  %s\n", static_cast<long long>(++epoch), figures_text(figures).c_str());
  }
  return 0;
}

}  // namespace

void add_train_flags(CLI::App& app, TrainFlags& f) {
  app.add_option("--data", f.data, "Data set (docs/guide/data.md)")->required();
  app.add_option("--batch-size", f.batch_size, "Rows in a step")->check(CLI::PositiveNumber);
  app.add_option("--optimizer", f.optimizer, "Keras name or call: adam, 'SGD(0.01, momentum=0.9)'");
  app.add_option("--lr-schedule", f.lr_schedule,
                 "Rate or schedule: 0.001, 'ExponentialDecay(0.01, decay_steps=10000, "
                 "decay_rate=0.9)'");
  app.add_option("--loss", f.losses, "Loss by Keras name or call; once per output");
  app.add_option("--metrics", f.metrics, "Metrics by Keras name or call, comma-separated");
  app.add_option("--max-steps", f.max_steps, "Stop after so many steps");
  app.add_option("--validation-split", f.validation_split, "Share of train kept for validation");
  app.add_option("--scale", f.scale,
                 "Factor for the inputs, such as 1/255, saved in the model as Rescaling");
  app.add_option("--augment", f.augment, "Random changes: flip,shift=0.1,rotate=15,noise=0.05");
  app.add_option("--class-weight", f.class_weight, "Weights by class: 0=1,1=2.5");
  app.add_option("--callback", f.callbacks,
                 "'EarlyStopping(patience=3)', 'ReduceLROnPlateau(factor=0.2)'; repeatable");
  app.add_option("--checkpoint", f.checkpoint, "File (.h5) written after every epoch");
  app.add_option("--resume", f.resume, "Checkpoint to continue from");
  app.add_option("--csv-log", f.csv_log, "CSV file with one line per epoch");
  app.add_option("--keras-version", f.keras_version,
                 "Generations that must open an .h5: both, 2 or 3");
  app.add_flag("--no-shuffle", f.no_shuffle, "Keep the rows in order");
}

Result<void> compile_from_flags(Model& model, const TrainFlags& f) {
  const bool recompiles = !f.optimizer.empty() || !f.lr_schedule.empty() || !f.losses.empty() ||
                          !f.metrics.empty() || !model.is_compiled();
  if (!recompiles) return {};
  CompileOptions compile;
  compile.optimizer = f.optimizer;
  compile.learning_rate = f.lr_schedule;
  compile.losses = f.losses;
  compile.metrics = split_calls(f.metrics);
  return model.compile(compile);
}

Result<Data> open_data(Model& model, const TrainFlags& f, const Common& common) {
  const Result<double> scale = parse_ratio(f.scale);
  if (!scale.ok()) return usage("--scale: " + scale.error().message);
  Result<Data> data =
      Data::open(f.data, {.seed = common.seed, .validation_split = f.validation_split});
  if (!data.ok()) return data.error();
  if (*scale != 1) {
    if (const auto done = model.add_rescaling(*scale); !done.ok()) return done.error();
  }
  return data;
}

Result<FitOptions> fit_options(const TrainFlags& f, const Common& common) {
  FitOptions fit;
  fit.epochs = f.epochs;
  fit.batch_size = f.batch_size;
  fit.max_steps = f.max_steps;
  fit.shuffle = !f.no_shuffle;
  fit.seed = common.seed;
  fit.log_steps = f.log_steps;
  fit.augment = f.augment;
  fit.callbacks = f.callbacks;
  fit.checkpoint = f.checkpoint;
  fit.resume = f.resume;
  fit.csv_log = f.csv_log;
  fit.threads = common.threads;
  auto weights = parse_class_weight(f.class_weight);
  if (!weights.ok()) return weights.error();
  fit.class_weight = *weights;
  return fit;
}

void add_train(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand(
      "train",
      "Fit a model to data; without --optimizer, --loss and --lr-schedule the state in the "
      "file goes on\n"
      "Example: edgewise train base_model.h5 --data fashion-mnist/ --epochs 5 --optimizer "
      "adam --loss categorical_crossentropy --metrics accuracy -o trained.h5");
  auto o = std::make_shared<TrainOptions>();
  verb->add_option("MODEL", o->model, "Model file (.h5, .keras)")->required();
  verb->add_option("-o,--output", o->outputs, "File to write (.h5, .keras); repeatable")
      ->required()
      ->take_all();
  verb->add_option("--epochs", o->flags.epochs, "Times over the data")
      ->check(CLI::NonNegativeNumber);
  verb->add_flag("--log-steps", o->flags.log_steps, "Report every step's loss and rate (--json)");
  add_train_flags(*verb, o->flags);
  add_common(*verb, o->common);
  verb->callback([o, &exit_code] { exit_code = run_train(*o); });
}

}  // namespace ew::cli
