#include "edgewise/optimize.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "api/data_impl.h"
#include "api/fit.h"
#include "compress/optimize.h"
#include "compress/prune.h"
#include "formats/json.h"

namespace ew {
namespace {

/// What the guard watches: the accuracy of models that choose among classes, else R squared.
struct Score {
  bool is_classifier = false;
  int64_t classes = 0;  ///< 1: a single sigmoid
};

Result<Score> score_of(const ir::Model& model) {
  EW_TRY(train::Heads heads, train::Heads::create(model.graph, *model.compiled));
  Score score;
  if (!heads[0].loss) return invalid_argument("the first output has no loss to judge it by");
  const std::string& loss = heads[0].loss->name();
  score.is_classifier =
      loss.find("crossentropy") != std::string::npos || loss.find("hinge") != std::string::npos;
  const Shape& output = model.graph.type(model.graph.outputs[0]).shape;
  score.is_classifier = score.is_classifier && output.rank() == 2;
  if (output.rank() > 0) score.classes = output[-1];
  return score;
}

Result<double> measure(ir::Model model, const Score& score, const train::DataSource& source,
                       const OptimizeOptions& options) {
  const Config metric = score.is_classifier ? Config("accuracy") : Config("R2Score");
  model.compiled->metrics = Config::List{metric};
  model.compiled->weighted_metrics = {};
  EW_TRY(const Figures figures,
         api::evaluate(model, source, std::max<int64_t>(options.fit.batch_size, 64),
                       options.fit.threads));
  for (const auto& [name, value] : figures) {
    if (name.find("loss") == std::string::npos) return value;
  }
  return make_error(ErrorCode::kInternal, "the evaluation reports no score");
}

/// The class a row of predictions or targets names.
int64_t class_of(std::span<const float> row) {
  if (row.size() == 1) return row[0] > 0.5F ? 1 : 0;
  return std::max_element(row.begin(), row.end()) - row.begin();
}

/// Accuracy and confusion counts in one pass over the test part.
Result<double> confusion_of(const ir::Model& model, const Score& score,
                            const train::DataSource& source, int threads,
                            std::vector<int64_t>& counts) {
  const int64_t classes = std::max<int64_t>(score.classes, 2);
  counts.assign(static_cast<size_t>(classes * classes), 0);
  EW_TRY(const train::Split all, train::read_all(source));
  EW_TRY(const std::vector<ir::Tensor> outputs, api::predict(model, all.x, false, threads));
  const ir::Tensor prediction = outputs[0].cast(DType::kF32);
  const ir::Tensor target = all.y[0].cast(DType::kF32);
  const int64_t rows = source.size();
  const auto width = static_cast<size_t>(prediction.size() / std::max<int64_t>(rows, 1));
  const auto target_width = static_cast<size_t>(target.size() / std::max<int64_t>(rows, 1));
  int64_t right = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const auto i = static_cast<size_t>(r);
    const auto row = target.values<float>().subspan(i * target_width, target_width);
    const int64_t truth = target_width == 1 ? std::llround(row[0]) : class_of(row);
    const int64_t found = class_of(prediction.values<float>().subspan(i * width, width));
    right += truth == found ? 1 : 0;
    if (truth >= 0 && truth < classes) ++counts[static_cast<size_t>(truth * classes + found)];
  }
  return static_cast<double>(right) / static_cast<double>(std::max<int64_t>(rows, 1));
}

int64_t steps_of(const train::Dataset& data, const FitOptions& fit) {
  const int64_t batch = std::max<int64_t>(fit.batch_size, 1);
  const int64_t per_epoch = (data.train->size() + batch - 1) / batch;
  const int64_t all = per_epoch * fit.epochs;
  return fit.max_steps >= 0 ? std::min(all, fit.max_steps) : all;
}

/// Trains while the masks grow over the first two thirds of the steps, then lets the rest recover.
Result<ir::Model> fine_tune(const ir::Model& model, const train::Dataset& data,
                            const OptimizeOptions& options, double sparsity) {
  ir::Model tuned = model;
  FitOptions fit = options.fit;
  fit.epochs = options.fine_tune_epochs >= 0 ? options.fine_tune_epochs : (sparsity > 0 ? 3 : 0);
  const int64_t steps = steps_of(data, fit);
  compress::PruneOptions prune;
  prune.schedule.final_sparsity = sparsity;
  // One threshold for the whole model: small first layers keep what large dense ones can spare.
  prune.global_threshold = true;
  prune.schedule.end_step = std::max<int64_t>(1, steps * 2 / 3);
  prune.schedule.frequency = std::max<int64_t>(1, steps / 60);
  compress::Pruner pruner(tuned.graph, prune);
  std::vector<std::span<float>> spans;
  const auto spans_of = [&](train::ParameterStore& parameters) {
    spans.clear();
    for (size_t k = 0; k < parameters.size(); ++k) {
      const bool is_f32 = parameters.description(k).type.dtype == DType::kF32;
      spans.push_back(is_f32 ? std::span<float>(parameters.value(k),
                                                static_cast<size_t>(parameters.elements(k)))
                             : std::span<float>());
    }
  };
  if (steps > 0) {
    int64_t step = 0;
    const auto after_update = [&](int64_t, train::ParameterStore& parameters) {
      if (sparsity <= 0) return;
      if (spans.empty()) spans_of(parameters);
      pruner.on_step(step++, spans);
    };
    EW_TRY([[maybe_unused]] const History history, api::fit(tuned, data, fit, after_update));
  }
  if (sparsity > 0) {
    EW_TRY(train::ParameterStore store, train::ParameterStore::create(tuned.graph));
    spans_of(store);
    pruner.prune_now(sparsity, spans);
    store.copy_to(tuned.graph);
  }
  return tuned;
}

Result<std::vector<ir::Tensor>> calibration_rows(const train::DataSource& source, int64_t count) {
  std::vector<int64_t> rows;
  const int64_t n = std::min(count, source.size());
  // Spread over the whole set, which may be sorted by class.
  for (int64_t i = 0; i < n; ++i) rows.push_back(i * source.size() / n);
  train::Split split;
  EW_TRY_VOID(source.read(rows, split));
  return split.x;
}

SizeFigures to_figures(const compress::SizeFigures& figures, double accuracy, int64_t rows) {
  const compress::Interval interval = compress::wilson_interval(accuracy, rows);
  return {
      accuracy,     interval.low,         interval.high, figures.bytes, figures.compressed_bytes,
      figures.macs, figures.zero_fraction};
}

std::vector<LayerFigures> to_layers(const std::vector<compress::LayerReport>& layers) {
  std::vector<LayerFigures> out;
  for (const compress::LayerReport& layer : layers) {
    out.push_back({layer.name, layer.after.is_int8 ? "int8" : "float32",
                   std::max(layer.before.parameters, layer.after.parameters),
                   layer.before.zero_fraction, layer.after.zero_fraction, layer.before.bytes,
                   layer.after.bytes, std::max(layer.before.macs, layer.after.macs)});
  }
  return out;
}

Result<compress::GuardOptions> guard_options(const OptimizeOptions& options) {
  compress::GuardOptions guard;
  guard.int8 = options.quantize.enabled;
  EW_TRY(guard.quantize.profile, ir::parse_int8_profile(options.quantize.int8.profile));
  guard.quantize.keep_float = options.keep_float;
  guard.sparsity = options.prune.sparsity;
  guard.min_sparsity = options.min_prune;
  guard.max_accuracy_drop = options.max_accuracy_drop;
  return guard;
}

}  // namespace

Result<Optimized> optimize(const Model& model, const Data& data, const OptimizeOptions& options) {
  const ir::Model& original = model.impl().model;
  OptimizeReport report;
  EW_TRY(const train::Dataset dataset,
         api::fit_data(original, data, options.fit.batch_size, &report.notes));
  if (dataset.train->size() == 0 || dataset.validation->size() == 0 || dataset.test->size() == 0) {
    return invalid_argument("optimize needs rows to train, validate and test with; found ",
                            dataset.train->size(), ", ", dataset.validation->size(), " and ",
                            dataset.test->size());
  }
  EW_TRY(const Score score, score_of(original));
  EW_TRY(const compress::GuardOptions guard, guard_options(options));
  EW_TRY(const std::vector<ir::Tensor> calibration,
         calibration_rows(*dataset.train, options.calibration_samples));
  compress::GuardActions actions;
  actions.validate = [&](const ir::Model& m) {
    return measure(m, score, *dataset.validation, options);
  };
  bool is_first_test = true;
  actions.test = [&](const ir::Model& m) -> Result<double> {
    std::vector<int64_t>& counts = is_first_test ? report.confusion_before : report.confusion_after;
    is_first_test = false;
    if (!score.is_classifier) return measure(m, score, *dataset.test, options);
    return confusion_of(m, score, *dataset.test, options.fit.threads, counts);
  };
  if (options.fine_tune_epochs != 0) {
    actions.fine_tune = [&](const ir::Model& m, double sparsity) {
      return fine_tune(m, dataset, options, sparsity);
    };
  }
  actions.note = options.on_stage;
  EW_TRY(compress::Guarded guarded, compress::optimize(original, calibration, guard, actions));

  const compress::GuardReport& g = guarded.report;
  report.before = to_figures(g.before, g.test_before, dataset.test->size());
  report.after = to_figures(g.after, g.test_after, dataset.test->size());
  report.validation_accuracy_before = g.validation_before;
  report.validation_accuracy_after = g.validation_after;
  report.layers = to_layers(g.layers);
  report.notes.insert(report.notes.end(), g.notes.begin(), g.notes.end());
  report.class_names = dataset.class_names;
  report.accepted = g.accepted;
  if (guarded.model.compiled) guarded.model.compiled->slots.clear();
  return Optimized{Model(std::make_unique<Model::Impl>(Model::Impl{std::move(guarded.model)})),
                   std::move(report)};
}

namespace {

Config size_json(const SizeFigures& f) {
  return Config::Map{{"accuracy", f.accuracy},
                     {"accuracy_interval", Config::List{f.accuracy_low, f.accuracy_high}},
                     {"bytes", f.bytes},
                     {"compressed_bytes", f.compressed_bytes},
                     {"macs", f.macs},
                     {"zero_fraction", f.zero_fraction}};
}

std::string row(const std::string& label, const std::string& before, const std::string& after) {
  const auto pad = [](std::string text, size_t width) {
    if (text.size() < width) text.insert(0, width - text.size(), ' ');
    return text;
  };
  return label + std::string(label.size() < 22 ? 22 - label.size() : 1, ' ') + pad(before, 14) +
         pad(after, 14) + "\n";
}

std::string percent(double share) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.2f %%", share * 100);
  return buffer;
}

}  // namespace

std::string OptimizeReport::to_json() const {
  Config layer_list = Config::list();
  for (const LayerFigures& l : layers) {
    layer_list.push_back(Config::Map{{"name", l.name},
                                     {"dtype", l.dtype},
                                     {"parameters", l.parameters},
                                     {"zero_fraction_before", l.zero_fraction_before},
                                     {"zero_fraction_after", l.zero_fraction_after},
                                     {"bytes_before", l.bytes_before},
                                     {"bytes_after", l.bytes_after},
                                     {"macs", l.macs}});
  }
  Config note_list = Config::list();
  for (const std::string& note : notes) note_list.push_back(note);
  return formats::to_json(
      Config::Map{{"before", size_json(before)},
                  {"after", size_json(after)},
                  {"validation", Config::Map{{"before", validation_accuracy_before},
                                             {"after", validation_accuracy_after}}},
                  {"layers", layer_list},
                  {"confusion_after", Config::ints(confusion_after)},
                  {"notes", note_list},
                  {"accepted", accepted}},
      2);
}

std::string OptimizeReport::to_text() const {
  std::string text = row("", "before", "after");
  text += row("accuracy (test)", percent(before.accuracy), percent(after.accuracy));
  text += row("  95 % interval", percent(before.accuracy_low), percent(after.accuracy_low));
  text += row("             to", percent(before.accuracy_high), percent(after.accuracy_high));
  text += row("bytes", str(before.bytes), str(after.bytes));
  text += row("bytes compressed", str(before.compressed_bytes), str(after.compressed_bytes));
  text += row("MACs", str(before.macs), str(after.macs));
  text += row("zero weights", percent(before.zero_fraction), percent(after.zero_fraction));
  for (const std::string& note : notes) text += note + "\n";
  text += accepted ? "accepted" : "not accepted";
  return text;
}

}  // namespace ew
