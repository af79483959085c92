// edgewise optimize
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "common.h"
#include "html_report.h"
#include "report.h"
#include "train_flags.h"
#include "verbs.h"

namespace ew::cli {
namespace {

struct OptimizeFlags {
  Common common;
  TrainFlags train;
  std::string model;
  std::vector<std::string> outputs;
  std::string quantize = "int8";
  std::string prune = "none";
  double min_prune = 0;
  double max_accuracy_drop = 0.01;
  int64_t fine_tune_epochs = -1;
  int64_t calibration_samples = 512;
  std::vector<std::string> keep_float;
  std::vector<std::string> reports;
};

Result<OptimizeOptions> optimize_options(const OptimizeFlags& o) {
  OptimizeOptions options;
  if (o.quantize == "none") {
    options.quantize = Quantize();
  } else {
    options.quantize = Int8{.profile = o.common.int8_profile};
  }
  if (o.prune != "none") {
    const Result<double> sparsity = parse_ratio(o.prune);
    if (!sparsity.ok() || *sparsity < 0 || *sparsity >= 1) {
      return Error{ErrorCode::kInvalidArgument,
                   "--prune: expected none or a share of zeros in [0, 1), found '" + o.prune + "'"};
    }
    options.prune.sparsity = *sparsity;
  }
  options.min_prune = o.min_prune;
  options.max_accuracy_drop = o.max_accuracy_drop;
  options.fine_tune_epochs = o.fine_tune_epochs;
  options.calibration_samples = o.calibration_samples;
  options.keep_float = o.keep_float;
  Result<FitOptions> fit = fit_options(o.train, o.common);
  if (!fit.ok()) return fit.error();
  options.fit = *fit;
  return options;
}

/// "optimized_model.h5" -> "optimized_model.rejected.h5".
std::string rejected_name(const std::string& path) {
  const size_t dot = path.find_last_of('.');
  return path.substr(0, dot) + ".rejected" + (dot == std::string::npos ? "" : path.substr(dot));
}

/// "models/base_model.h5" -> "base_model.h5".
std::string file_name(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path.substr(path.find_last_of('/') + 1);
}

int run_optimize(const OptimizeFlags& o) {
  const Result<KerasVersion> version = parse_keras_version(o.train.keras_version);
  if (!version.ok()) return fail(version.error());
  Result<OptimizeOptions> options = optimize_options(o);
  if (!options.ok()) return fail(options.error());
  for (const std::string& path : o.reports) {
    if (const auto usable = check_report_path(path); !usable.ok()) return fail(usable.error());
  }
  Result<Model> model = load(o.model, o.common);
  if (!model.ok()) return fail(model.error());
  const Result<Data> data = open_data(*model, o.train, o.common);
  if (!data.ok()) return fail(data.error());
  if (const auto done = compile_from_flags(*model, o.train); !done.ok()) return fail(done.error());
  Progress progress(o.common);
  options->fit.interrupted = catch_interrupts();
  options->fit.on_progress = [&](int64_t epoch, int64_t step, int64_t steps, const Figures& f) {
    progress.update(epoch + 1, options->fit.epochs, step, steps, f);
  };
  options->on_stage = [&](const std::string& stage) {
    progress.finish_line();
    say(o.common, stage);
  };
  const Result<Optimized> optimized = optimize(*model, *data, *options);
  progress.finish_line();
  if (!optimized.ok()) return fail(optimized.error());
  for (const std::string& path : o.outputs) {
    const std::string target = optimized->report.accepted ? path : rejected_name(path);
    const auto notes =
        save(optimized->model, target, {.keras_version = *version, .include_optimizer = false});
    if (!notes.ok()) return fail(notes.error());
    for (const std::string& note : *notes) say(o.common, note);
  }
  for (const std::string& path : o.reports) {
    const ReportTitle title{.model = file_name(o.model), .data = file_name(o.train.data)};
    const auto written = write_report(path, optimized->report, title);
    if (!written.ok()) return fail(written.error());
  }
  std::puts(o.common.json ? optimized->report.to_json().c_str()
                          : optimized->report.to_text().c_str());
  if (!optimized->report.accepted) {
    return fail(
        {ErrorCode::kBarNotMet,
         "accuracy fell by more than --max-accuracy-drop allows; no output was written, the "
         "best seen is in " +
             rejected_name(o.outputs[0])});
  }
  return 0;
}

}  // namespace

void add_optimize(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand(
      "optimize",
      "Fine-tune, prune and quantise a model, and keep its accuracy\n"
      "Example: edgewise optimize base_model.h5 --data fashion-mnist/ --prune 0.8 -o "
      "optimized_model.h5");
  auto o = std::make_shared<OptimizeFlags>();
  verb->add_option("MODEL", o->model, "Model file (.h5, .keras, .tflite, .onnx)")->required();
  verb->add_option("-o,--output", o->outputs,
                   "File to write (.h5, .keras, .tflite, .onnx); repeatable")
      ->required()
      ->take_all();
  verb->add_option("--quantize", o->quantize, "int8 or none")
      ->check(CLI::IsMember({"int8", "none"}));
  verb->add_option("--prune", o->prune, "Share of weights to make zero, such as 0.8, or none");
  verb->add_option("--min-prune", o->min_prune, "Least share the accuracy guard may go back to");
  verb->add_option("--max-accuracy-drop", o->max_accuracy_drop, "Largest loss of accuracy allowed");
  verb->add_option("--fine-tune-epochs", o->fine_tune_epochs,
                   "Epochs of fine-tuning (default 3 with pruning, else 0)");
  verb->add_option("--calibration-samples", o->calibration_samples,
                   "Training rows that set the activation ranges")
      ->check(CLI::PositiveNumber);
  verb->add_option("--keep-float", o->keep_float, "Layers that stay in float; repeatable");
  verb->add_option("--report", o->reports,
                   "Page (.html) or picture (.svg) of what was done; repeatable")
      ->take_all();
  add_train_flags(*verb, o->train);
  add_common(*verb, o->common);
  verb->callback([o, &exit_code] { exit_code = run_optimize(*o); });
}

}  // namespace ew::cli
