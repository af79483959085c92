#include "train/program.h"

#include <algorithm>
#include <cstring>
#include <map>

namespace ew::train {
namespace {

/// Makes every parameter of the executor's graph live in the store.
void bind_parameters(runtime::Executor& executor, ParameterStore& parameters) {
  const std::vector<ir::ValueId> ids = executor.graph().parameters();
  for (size_t k = 0; k < ids.size(); ++k) executor.bind(ids[k], parameters.data(k));
}

}  // namespace

void store_graph_updates(const runtime::Executor& executor, ParameterStore& parameters) {
  const ir::Graph& graph = executor.graph();
  if (graph.updates.empty()) return;
  const std::vector<ir::ValueId> ids = graph.parameters();
  for (const ir::Update& update : graph.updates) {
    const auto k =
        static_cast<size_t>(std::find(ids.begin(), ids.end(), update.parameter) - ids.begin());
    const ir::ConstTensorView value = executor.view(update.value);
    std::memcpy(parameters.data(k), value.data,
                static_cast<size_t>(value.size()) * dtype_size(value.dtype()));
  }
}

Status Trainer::Program::prepare(ParameterStore& parameters, ThreadPool* pool, bool profile) {
  runtime::ExecutorOptions options;
  options.profile = profile;
  options.constant_parameters = false;
  options.pool = pool;
  options.keep = training.loss_inputs;
  parameter_ids = training.graph.parameters();
  std::map<ir::ValueId, size_t> index;
  for (size_t k = 0; k < parameter_ids.size(); ++k) index[parameter_ids[k]] = k;
  for (size_t i = 0; i < training.parameters.size(); ++i) {
    if (training.gradients[i] == ir::kNoValue) continue;
    options.placed.emplace_back(training.gradients[i],
                                parameters.gradient(index[training.parameters[i]]));
  }
  EW_TRY(executor, runtime::Executor::create(std::move(training.graph), options));
  bind_parameters(*executor, parameters);
  return {};
}

void Trainer::Program::set_step(int64_t step) {
  if (training.step != ir::kNoValue) *executor->mutable_view(training.step).as<int64_t>() = step;
}

void Trainer::Program::collect_gradients(ParameterStore& parameters) {
  for (size_t i = 0; i < training.parameters.size(); ++i) {
    const ir::ValueId id = training.parameters[i];
    const auto k = static_cast<size_t>(std::find(parameter_ids.begin(), parameter_ids.end(), id) -
                                       parameter_ids.begin());
    float* target = parameters.gradient(k);
    const size_t bytes = static_cast<size_t>(parameters.elements(k)) * sizeof(float);
    if (bytes == 0) continue;
    if (training.gradients[i] == ir::kNoValue) {
      std::memset(target, 0, bytes);
      continue;
    }
    const void* source = executor->view(training.gradients[i]).data;
    if (source != target) std::memcpy(target, source, bytes);
  }
}

void Trainer::Program::store_updates(ParameterStore& parameters) const {
  store_graph_updates(*executor, parameters);
}

Status Trainer::Inference::prepare(ir::Graph graph, const std::vector<LossSource>& sources,
                                   ParameterStore& parameters, ThreadPool* pool) {
  runtime::ExecutorOptions options;
  options.constant_parameters = false;
  options.pool = pool;
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    const ir::ValueId output = graph.outputs[i];
    loss_inputs.push_back(sources[i] == LossSource::kActivation ? graph.producer(output)->inputs[0]
                                                                : output);
  }
  options.keep = loss_inputs;
  EW_TRY(executor, runtime::Executor::create(std::move(graph), options));
  bind_parameters(*executor, parameters);
  return {};
}

Status batch_losses(Heads& heads, runtime::Executor& executor,
                    std::span<const ir::ValueId> loss_inputs, const Split& batch,
                    const Tensor& weights, std::span<const ir::ValueId> gradients, double& total) {
  const ir::Graph& graph = executor.graph();
  if (batch.y.size() != heads.size()) {
    return invalid_argument("expected targets for ", heads.size(), " outputs, found ",
                            batch.y.size());
  }
  const ir::ConstTensorView weight_view =
      weights.empty() ? ir::ConstTensorView() : ir::ConstTensorView(weights);
  for (size_t i = 0; i < heads.size(); ++i) {
    const ir::ConstTensorView prediction = executor.view(graph.outputs[i]);
    const ir::ValueId mask_id =
        i < graph.output_masks.size() ? graph.output_masks[i] : ir::kNoValue;
    const ir::ConstTensorView mask =
        mask_id == ir::kNoValue ? ir::ConstTensorView() : executor.view(mask_id);
    const ir::ConstTensorView target(batch.y[i]);
    if (heads[i].loss) {
      EW_TRY_VOID(heads[i].loss->check(prediction.shape(), target.shape(), target.dtype()));
    }
    const LossInput input{executor.view(loss_inputs[i]), target, weight_view, mask,
                          heads[i].source == LossSource::kActivation};
    float* gradient = gradients.empty() ? nullptr : executor.mutable_view(gradients[i]).as<float>();
    total += heads.loss(i, input, gradient);
    EW_TRY_VOID(heads.update_metrics(i, prediction, target, weight_view, mask));
  }
  for (const ir::ValueId id : graph.losses) {
    total += static_cast<double>(*executor.view(id).as<float>());
  }
  return {};
}

void Trainer::Inference::store_updates(ParameterStore& parameters) const {
  store_graph_updates(*executor, parameters);
}

}  // namespace ew::train
