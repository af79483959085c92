#include "train/metric.h"

#include <algorithm>

#include "train/keras_object.h"
#include "train/metric_class.h"

namespace ew::train {
namespace {

bool is_spelling_of(const MetricClass& metric, const std::string& key) {
  return fold_name(metric.class_name) == key || fold_name(metric.name) == key ||
         (*metric.alias != '\0' && fold_name(metric.alias) == key);
}

const MetricClass* find_metric_class(const std::string& key) {
  for (const auto& group : {mean_metrics(), confusion_metrics(), score_metrics()}) {
    for (const MetricClass& metric : group) {
      if (is_spelling_of(metric, key)) return &metric;
    }
  }
  return nullptr;
}

Error unknown_metric(const std::string& name) {
  std::vector<std::string> known;
  for (const auto& group : {mean_metrics(), confusion_metrics(), score_metrics()}) {
    for (const MetricClass& metric : group) known.emplace_back(metric.name);
  }
  for (const auto& group : {regression_losses(), crossentropy_losses(), other_losses()}) {
    for (const LossClass& loss : group) {
      known.emplace_back(loss.name);
      if (*loss.alias != '\0') known.emplace_back(loss.alias);
    }
  }
  known.emplace_back("accuracy");
  return unknown_name("metric", name, known);
}

/// "accuracy" and "crossentropy" stand for one of three, by the shapes (as Keras decides).
std::string resolve_word(const std::string& word, const MetricContext& context) {
  const std::string key = fold_name(word);
  const bool is_accuracy = key == "accuracy" || key == "acc";
  if (!is_accuracy && key != "crossentropy" && key != "ce") return word;
  const Shape& p = context.prediction;
  const Shape& t = context.target;
  const bool is_binary = p.rank() > 0 && p[-1] == 1;
  const bool is_sparse = t.rank() < p.rank() || (t.rank() > 0 && t[-1] == 1 && p[-1] > 1);
  const char* kind = is_binary ? "binary" : is_sparse ? "sparse_categorical" : "categorical";
  return str(kind, is_accuracy ? "_accuracy" : "_crossentropy");
}

struct NamedMetric {
  std::unique_ptr<Metric> metric;
  std::string default_name;
};

Result<NamedMetric> make_metric(const std::string& name, const Config& config) {
  EW_TRY(const std::string dtype, config["dtype"].is_map() ? Result<std::string>("float32")
                                                           : config.get_string("dtype", ""));
  if (const MetricClass* type = find_metric_class(fold_name(name))) {
    Config arguments = type->defaults();
    for (const auto& [key, value] : config.as_map()) {
      if (arguments.has(key)) arguments.set(key, value);
    }
    auto metric = type->make(arguments, dtype);
    if (!metric.ok()) return at(type->class_name, metric.error());
    return NamedMetric{std::move(*metric), type->name};
  }
  const auto loss = find_loss_class(name);
  if (!loss.ok()) {
    if (loss.error().code == ErrorCode::kUnsupported) return loss.error();
    return unknown_metric(name);
  }
  auto function = (*loss)->make(complete_loss_arguments(**loss, config));
  if (!function.ok()) return at((*loss)->class_name, function.error());
  return NamedMetric{make_mean_metric(std::move(*function)), (*loss)->name};
}

}  // namespace

Result<std::unique_ptr<Metric>> Metric::create(const Config& config, const MetricContext& context) {
  EW_TRY(const KerasObject object, read_keras_object(config, "metric"));
  std::string name = object.name;
  std::string history_name;
  if (config.is_string()) {
    history_name = name;
    name = resolve_word(name, context);
  }
  // Keras 2 wraps functions: {"class_name": "MeanMetricWrapper", "config": {"fn": ...}}.
  if (fold_name(name) == "meanmetricwrapper") {
    EW_TRY(const KerasObject function, read_keras_object(object.config["fn"], "metric function"));
    name = function.name;
  }
  EW_TRY(NamedMetric made, make_metric(name, object.config));
  if (history_name.empty()) {
    EW_TRY(history_name, object.config.get_string("name", made.default_name));
  }
  made.metric->set_name(std::move(history_name));
  return std::move(made.metric);
}

Status MetricBatch::read(const ir::ConstTensorView& predictions, const ir::ConstTensorView& targets,
                         const ir::ConstTensorView& sample_weight,
                         const ir::ConstTensorView& mask) {
  const Shape& shape = predictions.shape();
  // Same elements in the same order; a last dimension of 1 may be there or not.
  std::vector<int64_t> p = shape.dims();
  std::vector<int64_t> t = targets.shape().dims();
  if (p.size() == t.size() + 1 && p.back() == 1) p.pop_back();
  if (t.size() == p.size() + 1 && t.back() == 1) t.pop_back();
  if (p != t) {
    return invalid_argument("targets of shape ", targets.shape(),
                            " do not fit predictions of shape ", shape);
  }
  const int rank = shape.rank();
  size = rank > 1 ? shape[-1] : 1;
  const Shape values = rank > 1 ? Shape(std::span(shape.dims()).first(shape.dims().size() - 1))
                                : Shape{predictions.size()};
  rows = values.num_elements();
  const auto convert = [](const ir::ConstTensorView& view, std::vector<float>& out) {
    out.resize(static_cast<size_t>(view.size()));
    convert_elements(view.dtype(), view.data, DType::kF32, out.data(), view.size());
  };
  weight.assign(static_cast<size_t>(rows), 1.0f);
  if (sample_weight) EW_TRY_VOID(multiply_weights(sample_weight, values, weight.data()));
  if (mask) EW_TRY_VOID(multiply_weights(mask, values, weight.data()));
  convert(predictions, prediction);
  convert(targets, target);
  return {};
}

}  // namespace ew::train
