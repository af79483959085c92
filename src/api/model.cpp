#include "edgewise/model.h"

#include <algorithm>

#include "api/convert.h"
#include "api/data_impl.h"
#include "api/ew_model.h"
#include "api/fit.h"
#include "api/model_impl.h"
#include "base/file.h"
#include "compress/weight_only.h"
#include "formats/load.h"
#include "formats/save.h"
#include "runtime/executor.h"
#include "train/call.h"
#include "train/trainer.h"

namespace ew {

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::Model(const Model& other) : impl_(std::make_unique<Impl>(*other.impl_)) {}
Model& Model::operator=(const Model& other) {
  if (this != &other) impl_ = std::make_unique<Impl>(*other.impl_);
  return *this;
}
Model::~Model() = default;

namespace {

/// Calls or names as configs; one entry stands alone, several make a list.
Result<Config> parse_calls(const std::vector<std::string>& calls) {
  Config list = Config::list();
  for (const std::string& call : calls) {
    EW_TRY(Config parsed, train::parse_call(call));
    list.push_back(std::move(parsed));
  }
  return list;
}

Result<Config> compiled_optimizer(const CompileOptions& options, const Config& before) {
  Config optimizer = before.is_null() ? Config("rmsprop") : before;
  if (!options.optimizer.call.empty()) {
    EW_TRY(optimizer, train::parse_call(options.optimizer.call));
  }
  if (!options.learning_rate.empty()) {
    EW_TRY(Config rate, train::parse_call(options.learning_rate));
    if (optimizer.is_string()) {
      optimizer = Config::Map{{"class_name", optimizer}, {"config", Config::map()}};
    }
    Config config = optimizer["config"];
    config.set("learning_rate", std::move(rate));
    optimizer.set("config", std::move(config));
  }
  return optimizer;
}

std::vector<Port> ports(const ir::Graph& graph, const std::vector<ir::ValueId>& ids) {
  std::vector<Port> out;
  for (const ir::ValueId id : ids) {
    const ir::Value& value = graph.value(id);
    out.push_back({value.name, value.type.dtype, value.type.shape.dims()});
  }
  return out;
}

}  // namespace

Result<void> Model::compile(const CompileOptions& options) {
  ir::Model& model = impl_->model;
  const ir::CompiledState before =
      options.is_fresh ? ir::CompiledState{} : model.compiled.value_or(ir::CompiledState{});
  ir::CompiledState state;
  state.loss = before.loss;
  state.metrics = before.metrics;
  state.weighted_metrics = before.weighted_metrics;
  state.loss_weights = before.loss_weights;
  EW_TRY(state.optimizer, compiled_optimizer(options, before.optimizer));
  std::vector<std::string> losses = options.losses;
  if (!options.loss.empty()) losses.push_back(options.loss);
  if (!losses.empty()) {
    EW_TRY(state.loss, parse_calls(losses));
    if (losses.size() == 1) state.loss = Config(state.loss.as_list()[0]);
  }
  if (!options.metrics.empty()) {
    EW_TRY(state.metrics, parse_calls(options.metrics));
    // With several outputs every metric is asked of every output, as Keras does for a flat list.
    const size_t outputs = model.graph.outputs.size();
    if (outputs > 1) state.metrics = Config::List(outputs, state.metrics);
  }
  if (!options.loss_weights.empty()) {
    state.loss_weights = Config::list();
    for (const double weight : options.loss_weights) state.loss_weights.push_back(weight);
  }
  // Errors of names and arguments belong here, not to the first fit().
  const Result<train::Heads> heads = train::Heads::create(model.graph, state);
  if (!heads.ok()) return heads.error();
  EW_TRY(const std::unique_ptr<train::Optimizer> optimizer,
         train::Optimizer::create(state.optimizer, model.architecture.generation));
  state.optimizer = optimizer->config();
  model.compiled = std::move(state);
  return {};
}

bool Model::is_compiled() const { return impl_->model.compiled.has_value(); }

Result<History> Model::fit(const Data& data, const FitOptions& options) {
  return api::fit(impl_->model, data, options);
}

Result<Figures> Model::evaluate(const Data& data, Part part, int64_t batch_size,
                                int threads) const {
  EW_TRY(const train::Dataset dataset, api::fit_data(impl_->model, data, batch_size, nullptr));
  const train::SourcePtr& source = part == Part::kTrain        ? dataset.train
                                   : part == Part::kValidation ? dataset.validation
                                                               : dataset.test;
  if (source->size() == 0) return invalid_argument("this part of the data has no rows");
  return api::evaluate(impl_->model, *source, batch_size, threads);
}

Result<std::vector<Array>> Model::predict(std::span<const Array> inputs, Engine engine,
                                          int threads) const {
  std::vector<ir::Tensor> tensors;
  for (const Array& input : inputs) tensors.push_back(api::to_tensor(input));
  EW_TRY(std::vector<ir::Tensor> outputs,
         api::predict(impl_->model, std::move(tensors), engine == Engine::kReference, threads));
  std::vector<Array> arrays;
  for (ir::Tensor& output : outputs) arrays.push_back(api::to_array(std::move(output)));
  return arrays;
}

std::vector<Port> Model::inputs() const {
  return ports(impl_->model.graph, impl_->model.graph.inputs);
}

std::vector<Port> Model::outputs() const {
  return ports(impl_->model.graph, impl_->model.graph.outputs);
}

int64_t Model::parameter_count() const {
  int64_t n = 0;
  for (const ir::ValueId id : impl_->model.graph.parameters()) {
    n += impl_->model.graph.value(id).data.size();
  }
  return n;
}

int64_t Model::trainable_count() const {
  int64_t n = 0;
  for (const ir::ValueId id : impl_->model.graph.parameters()) {
    const ir::Value& value = impl_->model.graph.value(id);
    if (value.info->is_trainable) n += value.data.size();
  }
  return n;
}

Result<Model> load_model(const std::string& path, const LoadOptions& options) {
  EW_TRY(std::optional<ir::Model> mapped, api::load_ew(path, options));
  if (mapped) return Model(std::make_unique<Model::Impl>(Model::Impl{std::move(*mapped)}));
  if (!options.trusted_key.empty()) {
    return invalid_data(path, ": expected an .ew file signed with ", options.trusted_key,
                        ", found another format, which cannot be signed");
  }
  formats::LoadOptions o;
  o.architecture = options.architecture;
  EW_TRY(o.int8_profile, ir::parse_int8_profile(options.int8_profile));
  for (const Array& input : options.inputs) o.inputs.push_back(api::to_tensor(input));
  EW_TRY(ir::Model model, formats::load_model(path, o));
  return Model(std::make_unique<Model::Impl>(Model::Impl{std::move(model)}));
}

Result<std::vector<std::string>> save(const Model& model, const std::string& path,
                                      const SaveOptions& options) {
  if (file_suffix(path) == ".ew") return api::save_ew(model.impl().model, path, options);
  formats::SaveOptions o;
  o.keras_version = static_cast<formats::KerasVersion>(options.keras_version);
  o.include_optimizer = options.include_optimizer;
  o.weights = options.weights;
  if (formats::is_deployed_format(path)) {
    EW_TRY(ir::Model deployed, api::deployed_model(model.impl().model));
    if (options.int4_weights) {
      EW_TRY(deployed.graph, compress::quantize_weights_int4(deployed.graph, options.int4_group));
    }
    EW_TRY(const formats::SaveReport report, formats::save_model(deployed, path, o));
    return report.notes;
  }
  if (options.int4_weights) {
    return invalid_argument(path, ": cannot hold int4 weights; .tflite, .onnx and .ew can");
  }
  EW_TRY(const formats::SaveReport report, formats::save_model(model.impl().model, path, o));
  return report.notes;
}

}  // namespace ew
