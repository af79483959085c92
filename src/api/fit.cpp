#include "api/fit.h"

#include <algorithm>
#include <cstring>

#include "api/callbacks.h"
#include "api/data_impl.h"
#include "formats/load.h"
#include "runtime/executor.h"
#include "train/callbacks.h"
#include "train/data/augment.h"
#include "train/trainer.h"

namespace ew::api {
namespace {

train::TargetKind target_kind(const train::Head& head) {
  if (!head.loss) return train::TargetKind::kValues;
  if (head.loss->is_sparse()) return train::TargetKind::kLabels;
  for (const char* word : {"categorical", "kl_divergence"}) {
    if (head.loss->name().find(word) != std::string::npos) return train::TargetKind::kOneHot;
  }
  return train::TargetKind::kValues;
}

/// Takes weights, optimizer state and progress over from a checkpoint of the same model.
Status take_checkpoint(ir::Model& model, const std::string& path) {
  EW_TRY(ir::Model saved, formats::load_model(path, {}));
  const std::vector<ir::ValueId> to = model.graph.parameters();
  const std::vector<ir::ValueId> from = saved.graph.parameters();
  bool fits = to.size() == from.size();
  for (size_t k = 0; fits && k < to.size(); ++k) {
    fits = model.graph.type(to[k]) == saved.graph.type(from[k]);
  }
  if (!fits) {
    return invalid_argument(path, ": is no checkpoint of this model: its parameters differ");
  }
  if (!saved.compiled || saved.compiled->progress.is_null()) {
    return invalid_argument(path,
                            ": expected a checkpoint written by a training run (--checkpoint), "
                            "found a model without its progress");
  }
  for (size_t k = 0; k < to.size(); ++k) {
    model.graph.value(to[k]).data = saved.graph.value(from[k]).data;
  }
  model.compiled = std::move(saved.compiled);
  return {};
}

Result<train::FitOptions> to_fit_options(const FitOptions& options, const train::Dataset& data) {
  train::FitOptions o;
  o.epochs = options.epochs;
  o.max_steps = options.max_steps;
  o.log_steps = options.log_steps;
  o.class_weight = options.class_weight;
  o.interrupted = options.interrupted;
  o.batches.batch_size = options.batch_size;
  o.batches.shuffle = options.shuffle;
  o.batches.seed = options.seed;
  EW_TRY(o.batches.augment, train::parse_augment(options.augment));
  if (o.batches.augment.value_range == 0) {
    o.batches.augment.value_range =
        static_cast<float>(data.preprocessing["value_range"].as_double(0));
  }
  if (options.on_progress) {
    o.on_progress = [report = options.on_progress](int64_t epoch, int64_t step, int64_t steps,
                                                   const train::Logs& logs) {
      report(epoch, step, steps, to_figures(logs));
    };
  }
  return o;
}

/// The input as the model's dtype, if every value survives.
Result<ir::Tensor> cast_input(const ir::Tensor& input, const ir::Value& declared) {
  if (input.dtype() == declared.type.dtype) return input;
  ir::Tensor cast = input.cast(declared.type.dtype);
  const ir::Tensor back = cast.cast(input.dtype());
  if (input.size_bytes() > 0 && std::memcmp(back.data(), input.data(), input.size_bytes()) != 0) {
    return invalid_argument("input '", declared.name, "': expected ", declared.type.dtype,
                            ", found ", input.dtype(),
                            " with values that do not cast without loss");
  }
  return cast;
}

/// Whether a shape fits a declared one; `any_rows` lets axis 0 differ.
bool fits(const Shape& given, const Shape& declared, bool any_rows) {
  if (given.rank() != declared.rank()) return false;
  for (int d = any_rows ? 1 : 0; d < given.rank(); ++d) {
    if (declared[d] != kUnknown && declared[d] != given[d]) return false;
  }
  return true;
}

}  // namespace

Result<train::Dataset> fit_data(const ir::Model& model, const Data& data, int64_t batch_size,
                                std::vector<std::string>* notes) {
  if (!model.compiled) {
    return invalid_argument("the model is not compiled; give an optimizer and a loss");
  }
  train::Dataset dataset = data.impl().dataset;
  const ir::Graph& graph = model.graph;
  if (dataset.train->x_types().size() != graph.inputs.size()) {
    return invalid_argument("the model has ", graph.inputs.size(), " inputs, the data has ",
                            dataset.train->x_types().size());
  }
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    EW_TRY_VOID(train::fit_to_input(dataset, i, graph.type(graph.inputs[i]).shape));
  }
  EW_TRY(train::Heads heads, train::Heads::create(graph, *model.compiled));
  train::TargetCheck check;
  check.batch_size = batch_size;
  for (size_t i = 0; i < heads.size(); ++i) {
    check.output_shapes.push_back(graph.type(graph.outputs[i]).shape);
    check.kinds.push_back(target_kind(heads[i]));
  }
  for (const train::SourcePtr* part : {&dataset.train, &dataset.validation, &dataset.test}) {
    if ((*part)->size() == 0) continue;
    EW_TRY(const train::TargetReport report, train::check_targets(**part, check));
    if (notes != nullptr && part == &dataset.train) *notes = report.warnings;
  }
  for (size_t i = 0; i < heads.size(); ++i) {
    EW_TRY_VOID(train::fit_to_output(dataset, i, check.output_shapes[i], check.kinds[i]));
  }
  return dataset;
}

Result<History> fit(ir::Model& model, const Data& data, const FitOptions& options) {
  History history;
  EW_TRY(const train::Dataset dataset, fit_data(model, data, options.batch_size, &history.notes));
  if (dataset.train->size() == 0) return invalid_argument("the training part has no rows");
  EW_TRY(History trained, fit(model, dataset, options, {}));
  trained.notes = std::move(history.notes);
  return trained;
}

Result<History> fit(ir::Model& model, const train::Dataset& dataset, const FitOptions& options,
                    std::function<void(int64_t, train::ParameterStore&)> after_update) {
  ir::Model work = model;
  if (!options.resume.empty()) EW_TRY_VOID(take_checkpoint(work, options.resume));
  EW_TRY(train::FitOptions fit_options, to_fit_options(options, dataset));
  fit_options.after_update = std::move(after_update);
  EW_TRY(const Callbacks callbacks, make_callbacks(options));
  fit_options.callbacks = callbacks.all();
  EW_TRY(std::unique_ptr<train::Trainer> trainer,
         train::Trainer::create(
             work, {.threads = options.threads, .seed = static_cast<int64_t>(options.seed)}));
  if (!options.resume.empty()) {
    EW_TRY(fit_options.initial_epoch,
           train::restore_progress(*work.compiled, fit_options.callbacks));
  }
  const Result<train::History> trained =
      trainer->fit(dataset.train, dataset.validation, fit_options);
  if (!trained.ok() && trained.error().code != ErrorCode::kInterrupted) return trained.error();
  trainer->store(work);
  work.compiled->progress = {};
  work.compiled->kept_weights.clear();
  work.packed.reset();
  work.quantization.reset();  // its ranges belong to the weights before training
  model = std::move(work);
  if (!trained.ok()) return trained.error();
  History history;
  history.first_epoch = fit_options.initial_epoch;
  for (const train::EpochRecord& epoch : trained->epochs) {
    history.epochs.push_back(to_figures(epoch.logs));
  }
  for (const train::StepRecord& step : trained->steps) {
    history.steps.push_back({step.step, step.loss, step.learning_rate});
  }
  return history;
}

Result<Figures> evaluate(const ir::Model& model, const train::DataSource& source,
                         int64_t batch_size, int threads) {
  ir::Model work;
  work.architecture = model.architecture;
  EW_TRY(ir::Graph deployed, executable_graph(model));
  work.graph = with_real_ports(std::move(deployed));
  // A graph of one sample takes its rows one by one.
  for (const ir::ValueId id : work.graph.inputs) {
    const Shape& shape = work.graph.type(id).shape;
    if (shape.rank() > 0 && shape[0] == 1) batch_size = 1;
  }
  work.compiled = model.compiled;
  if (work.compiled) work.compiled->slots.clear();
  EW_TRY(std::unique_ptr<train::Trainer> trainer,
         train::Trainer::create(work, {.threads = threads, .seed = 0}));
  EW_TRY(const train::Logs logs, trainer->evaluate(source, batch_size));
  return to_figures(logs);
}

namespace {

// The model was read for certain values of inputs that decide shapes.
Status check_fixed(const ir::Model& model, const std::string& name, const ir::Tensor& given) {
  const auto it = model.fixed_inputs.find(name);
  if (it == model.fixed_inputs.end()) return {};
  const ir::Tensor& fixed = it->second;
  const bool is_same =
      given.type() == fixed.type() &&
      (given.size() == 0 || std::memcmp(given.data(), fixed.data(), given.size_bytes()) == 0);
  if (is_same) return {};
  return invalid_argument("input '", name,
                          "': shapes hang on its value, and the model was read for "
                          "another one; load it again with this value");
}

}  // namespace

Result<std::vector<ir::Tensor>> predict(const ir::Model& model, std::vector<ir::Tensor> inputs,
                                        bool reference_only, int threads) {
  EW_TRY(const ir::Graph graph, reference_only ? inference_graph(model) : executable_graph(model));
  if (inputs.size() != graph.inputs.size()) {
    return invalid_argument("the model has ", graph.inputs.size(), " inputs, found ",
                            inputs.size());
  }
  bool is_exact = true;
  bool has_rows = true;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ir::Value& declared = graph.value(graph.inputs[i]);
    EW_TRY(inputs[i], cast_input(inputs[i], declared));
    EW_TRY_VOID(check_fixed(model, declared.name, inputs[i]));
    const Shape& given = inputs[i].shape();
    const Shape& shape = declared.type.shape;
    is_exact = is_exact && fits(given, shape, false);
    has_rows = has_rows && given.rank() > 0 && fits(given, shape, true) &&
               given[0] == inputs[0].shape()[0] && (shape[0] == kUnknown || shape[0] == 1);
    if (!is_exact && !has_rows) {
      return invalid_argument("input '", declared.name, "': expected shape ", shape,
                              ", with any number of rows in axis 0 where that is None or 1; found ",
                              given);
    }
  }
  std::unique_ptr<ThreadPool> pool;
  if (threads > 1) pool = std::make_unique<ThreadPool>(threads);
  runtime::ExecutorOptions options;
  options.reference_only = reference_only;
  options.pool = pool.get();
  options.packed = model.packed;
  const bool is_open = !graph.inputs.empty() && graph.type(graph.inputs[0]).shape.rank() > 0 &&
                       graph.type(graph.inputs[0]).shape[0] == kUnknown;
  // Rows run in slices, so that memory does not grow with their number.
  const int64_t slice = is_open ? 128 : 1;
  const int64_t rows = has_rows && !inputs.empty() ? inputs[0].shape()[0] : 0;
  if (!has_rows || (is_exact && (!is_open || rows <= slice))) {
    return runtime::run_graph(graph, inputs, options);
  }
  return runtime::run_rows(graph, inputs, slice, options);
}

}  // namespace ew::api
