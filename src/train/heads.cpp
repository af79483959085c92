#include "train/heads.h"

#include <algorithm>

namespace ew::train {
namespace {

/// The entry of `config` for one output: `config` may be a list or a map per output; anything else
/// (a word, an object) serves every output.
Result<Config> entry_for(const Config& config, const std::string& output, size_t index,
                         size_t count, const char* what) {
  if (config.is_map() && !config.has("class_name")) {
    return config[output];
  }
  if (config.is_list()) {
    if (config.as_list().size() != count) {
      return invalid_argument(what, ": expected one entry for each of ", count, " outputs, found ",
                              config.as_list().size());
    }
    return config.as_list()[index];
  }
  return config;
}

/// The metrics of one output: a flat list belongs to every output of a one-output model, else a
/// list or map has one entry (itself a name or a list) per output.
Result<Config::List> metrics_for(const Config& config, const std::string& output, size_t index,
                                 size_t count) {
  Config entry = config;
  const bool is_nested =
      config.is_list() && !config.as_list().empty() &&
      std::all_of(config.as_list().begin(), config.as_list().end(),
                  [](const Config& item) { return item.is_list() || item.is_null(); });
  if ((config.is_map() && !config.has("class_name")) || (count > 1 && config.is_list()) ||
      is_nested) {
    EW_TRY(entry, entry_for(config, output, index, count, "metrics"));
  }
  if (entry.is_null()) return Config::List{};
  if (entry.is_list()) return entry.as_list();
  return Config::List{entry};
}

Result<std::vector<std::unique_ptr<Metric>>> make_metrics(const Config& config,
                                                          const std::string& output, size_t index,
                                                          size_t count,
                                                          const MetricContext& context) {
  std::vector<std::unique_ptr<Metric>> metrics;
  EW_TRY(const Config::List entries, metrics_for(config, output, index, count));
  for (const Config& entry : entries) {
    if (entry.is_null()) continue;
    EW_TRY(std::unique_ptr<Metric> metric, Metric::create(entry, context));
    metrics.push_back(std::move(metric));
  }
  return metrics;
}

/// The shape targets have for this loss and output.
Shape target_shape(const Loss* loss, const Shape& output) {
  if (loss == nullptr || !loss->is_sparse()) return output;
  return Shape(std::vector<int64_t>(output.dims().begin(), output.dims().end() - 1));
}

LossSource loss_source(const ir::Graph& graph, ir::ValueId output, const Loss& loss) {
  const FusedActivation fused = loss.fused_activation();
  const bool can_fuse = (fused == FusedActivation::kSoftmax && ends_in_softmax(graph, output)) ||
                        (fused == FusedActivation::kSigmoid && ends_in_sigmoid(graph, output));
  // Half precision keeps the activation: Keras computes the loss of what the model returns.
  const bool is_f32 = graph.type(output).dtype == DType::kF32;
  return can_fuse && is_f32 ? LossSource::kActivation : LossSource::kOutput;
}

}  // namespace

const double* find_log(const Logs& logs, std::string_view name) {
  for (const auto& [key, value] : logs) {
    if (key == name) return &value;
  }
  return nullptr;
}

std::string output_name(const ir::Graph& graph, size_t i) {
  const ir::ValueId id = graph.outputs[i];
  if (!graph.value(id).name.empty()) return graph.value(id).name;
  const ir::Node* node = graph.producer(id);
  if (node == nullptr || node->origin.empty()) return str("output_", i);
  return node->origin.substr(node->origin.find(':') + 1);
}

Result<Heads> Heads::create(const ir::Graph& graph, const ir::CompiledState& compiled) {
  Heads heads;
  const size_t count = graph.outputs.size();
  for (size_t i = 0; i < count; ++i) {
    Head head;
    head.output = output_name(graph, i);
    EW_TRY(const Config loss, entry_for(compiled.loss, head.output, i, count, "loss"));
    EW_TRY(const Config weight,
           entry_for(compiled.loss_weights, head.output, i, count, "loss_weights"));
    head.loss_weight = weight.as_double(1);
    const Shape& shape = graph.type(graph.outputs[i]).shape;
    if (!loss.is_null()) {
      EW_TRY(head.loss, Loss::create(loss));
      head.source = loss_source(graph, graph.outputs[i], *head.loss);
    }
    const MetricContext context{shape, target_shape(head.loss.get(), shape)};
    EW_TRY(head.metrics, make_metrics(compiled.metrics, head.output, i, count, context));
    EW_TRY(head.weighted_metrics,
           make_metrics(compiled.weighted_metrics, head.output, i, count, context));
    heads.heads_.push_back(std::move(head));
  }
  heads.output_losses_.resize(count);
  heads.last_losses_.resize(count);
  return heads;
}

std::vector<LossSource> Heads::sources() const {
  std::vector<LossSource> sources;
  for (const Head& head : heads_) sources.push_back(head.source);
  return sources;
}

double Heads::loss(size_t i, LossInput input, float* gradient) {
  Head& head = heads_[i];
  const int64_t n = input.prediction.size();
  if (!head.loss) {
    if (gradient != nullptr) std::fill(gradient, gradient + n, 0.F);
    return 0;
  }
  const double value = head.loss->evaluate(input, gradient);
  if (gradient != nullptr && head.loss_weight != 1) {
    const auto factor = static_cast<float>(head.loss_weight);
    for (int64_t k = 0; k < n; ++k) gradient[k] *= factor;
  }
  last_losses_[i] = value;
  return value * head.loss_weight;
}

Status Heads::update_metrics(size_t i, const ir::ConstTensorView& prediction,
                             const ir::ConstTensorView& target, const ir::ConstTensorView& weight,
                             const ir::ConstTensorView& mask) {
  for (const auto& metric : heads_[i].metrics) {
    EW_TRY_VOID(metric->update(prediction, target, {}, mask));
  }
  for (const auto& metric : heads_[i].weighted_metrics) {
    EW_TRY_VOID(metric->update(prediction, target, weight, mask));
  }
  return {};
}

void Heads::add_total(double total, int64_t samples) {
  total_.add(total, static_cast<double>(samples));
  for (size_t i = 0; i < heads_.size(); ++i) {
    output_losses_[i].add(last_losses_[i], static_cast<double>(samples));
  }
}

Logs Heads::logs(const std::string& prefix) const {
  Logs logs{{prefix + "loss", total_.value()}};
  const bool is_multi = heads_.size() > 1;
  for (size_t i = 0; i < heads_.size() && is_multi; ++i) {
    if (heads_[i].loss)
      logs.emplace_back(prefix + heads_[i].output + "_loss", output_losses_[i].value());
  }
  for (const Head& head : heads_) {
    for (const auto* group : {&head.metrics, &head.weighted_metrics}) {
      for (const auto& metric : *group) {
        const std::string name = str(prefix, is_multi ? head.output + "_" : "", metric->name());
        const std::vector<float> values = metric->result();
        for (size_t k = 0; k < values.size(); ++k) {
          logs.emplace_back(values.size() == 1 ? name : str(name, "_", k), values[k]);
        }
      }
    }
  }
  return logs;
}

void Heads::reset() {
  total_.reset();
  for (Mean& mean : output_losses_) mean.reset();
  for (Head& head : heads_) {
    for (auto* group : {&head.metrics, &head.weighted_metrics}) {
      for (const auto& metric : *group) metric->reset();
    }
  }
}

}  // namespace ew::train
