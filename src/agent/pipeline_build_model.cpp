// Features and models of the streams of a pipeline that is built.
#include <algorithm>

#include "agent/pipeline_builder.h"

namespace ew::agent {

bool PipelineBuilder::is_tensor(std::string_view name) const {
  return std::ranges::any_of(app_.sources, [&](const SourcePlan& source) {
    return source.type->tensor != nullptr && name == source.type->tensor->field;
  });
}

void PipelineBuilder::add_origins(const std::vector<std::string>& from,
                                  std::vector<const SourcePlan*>& origins) const {
  for (const std::string& name : from) {
    const std::string base = name.substr(0, name.find('.'));
    for (const SourcePlan& source : app_.sources) {
      if (source.name == base) origins.push_back(&source);
    }
    for (const auto& [stream, plan] : app_.streams) {
      if (stream == base) add_origins(plan.from, origins);
    }
  }
}

size_t PipelineBuilder::tensor_slot(const Settings& s, const Inputs& in, const std::string& field,
                                    size_t expected) {
  std::vector<const SourcePlan*> origins;
  add_origins(in.from, origins);
  for (const SourcePlan* source : origins) {
    const TensorSource* tensor = source->type->tensor;
    if (tensor == nullptr || field != tensor->field) {
      errors_.push_back(s.error("input", str("'", field, "' comes from sources that have it, '",
                                             source->name, "' has none")));
      continue;
    }
    const size_t size = tensor->size(source->settings);
    if (size == expected || expected == 0) continue;
    errors_.push_back(s.error(
        "input", str("expected ", expected, " values, '", source->name, "' gives ",
                     size == 0 ? "as many as come" : str(size), "; set its ", tensor->to_set)));
  }
  const int slot = slot_of(in, in.layout, field);
  if (slot < 0) errors_.push_back(s.error("input", str("there is no field '", field, "'")));
  return slot < 0 ? 0 : static_cast<size_t>(slot);
}

void PipelineBuilder::build_features(const Settings& s, const Inputs& in, Layout& layout,
                                     StreamPlan& plan) {
  const Settings f = s.map("features");
  const std::vector<std::string> inputs = f.texts("input");
  if (!plan.has_window && inputs.size() == 1 && is_tensor(inputs[0])) {
    return build_tensor_features(f, in, layout, plan);
  }
  if (!plan.has_window) {
    errors_.push_back(f.error("chain", "features need a window, or sound as input"));
    return;
  }
  const bool is_count = plan.window.type == WindowType::kCount;
  if (is_count == f.has("length")) {
    errors_.push_back(f.error(
        "length", is_count ? "a count window has its `count` of samples; remove this word"
                           : "expected the samples that a time window is brought to, such as 100"));
    return;
  }
  plan.are_feature_times_even = is_count;
  const auto length = static_cast<size_t>(is_count ? plan.window.size_count : f.integer("length"));
  const Layout before = window_layout(in, plan);
  for (const std::string& field : inputs) {
    Result<Expression> argument =
        Expression::compile("`" + field + "`", scope(in, before, nullptr));
    if (!argument.ok()) {
      errors_.push_back(f.error("input", argument.error().message));
      continue;
    }
    plan.feature_lists.push_back(plan.aggregates.size());
    plan.aggregates.push_back(
        {is_count ? AggregateKind::kList : AggregateKind::kSignal, std::move(*argument), 0});
  }
  Result<std::unique_ptr<ModelRunner>> runner =
      make_feature_runner(f.text("chain"), std::max<size_t>(plan.feature_lists.size(), 1), length);
  if (runner.ok()) {
    plan.features = std::move(*runner);
  } else {
    errors_.push_back(f.error("chain", runner.error().message));
  }
  add_feature_outputs(f, layout, plan);
}

void PipelineBuilder::build_tensor_features(const Settings& f, const Inputs& in, Layout& layout,
                                            StreamPlan& plan) {
  const std::string field = f.texts("input")[0];
  plan.feature_tensor = tensor_slot(f, in, field, 0);
  std::vector<const SourcePlan*> origins;
  add_origins(in.from, origins);
  size_t length = 0;
  for (const SourcePlan* source : origins) {
    if (source->type->tensor == nullptr) continue;
    const size_t size = source->type->tensor->size(source->settings);
    if (length != 0 && size != length) {
      errors_.push_back(f.error(
          "input", str("'", source->name, "' gives ", size, " values, another source ", length)));
    }
    length = size;
  }
  if (length == 0) {
    errors_.push_back(f.error("input", "expected a source that says how many values it gives"));
    return;
  }
  Result<std::unique_ptr<ModelRunner>> runner = make_feature_runner(f.text("chain"), 1, length);
  if (runner.ok()) {
    plan.features = std::move(*runner);
  } else {
    errors_.push_back(f.error("chain", runner.error().message));
  }
  add_feature_outputs(f, layout, plan);
}

/// One name for many results: they are no fields, but what a model takes.
void PipelineBuilder::add_feature_outputs(const Settings& f, Layout& layout, StreamPlan& plan) {
  const std::vector<std::string> outputs = f.texts("output");
  const size_t given = plan.features ? plan.features->output_size() : outputs.size();
  plan.gives_tensor = outputs.size() == 1 && given > 1;
  if (plan.gives_tensor) return;
  if (given != outputs.size()) {
    errors_.push_back(f.error(
        "output", str("the chain gives ", given, " values, found ", outputs.size(), " names")));
    plan.features = nullptr;
  }
  plan.feature_outputs = outputs.size();
  for (const std::string& name : outputs) {
    layout.names.push_back(name);
    plan.output_names.push_back(name);
  }
}

void PipelineBuilder::add_model_inputs(const Settings& s, const Inputs& in, const Layout& layout,
                                       StreamPlan& plan, const ModelRunner* runner) {
  const Settings m = s.map("model");
  const std::vector<std::string> fields = m.texts("input");
  const std::vector<std::string> features = s.map("features").texts("output");
  if (plan.gives_tensor && fields == features) {
    plan.model_takes_features = true;
    return;
  }
  if (fields.size() == 1 && is_tensor(fields[0])) {
    if (plan.has_window) {
      errors_.push_back(m.error("input", str("windows hold no '", fields[0],
                                             "'; run the model in a stream before the window")));
      return;
    }
    plan.model_tensor = tensor_slot(m, in, fields[0], runner == nullptr ? 0 : runner->input_size());
    return;
  }
  for (const std::string& field : fields) {
    if (is_tensor(field)) {
      errors_.push_back(m.error("input", str("'", field, "' goes into a model alone")));
      continue;
    }
    // Of a window either fields of its result, or all values of fields of its records.
    const auto result = std::ranges::find(layout.names, field);
    if (plan.has_window && result != layout.names.end()) {
      plan.model_fields.push_back(static_cast<size_t>(result - layout.names.begin()));
      continue;
    }
    const int slot = slot_of(in, plan.has_window ? window_layout(in, plan) : layout, field);
    if (slot < 0) {
      errors_.push_back(m.error("input", str("there is no field '", field, "'")));
      continue;
    }
    if (plan.has_window) {
      Layout before = window_layout(in, plan);
      Result<Expression> argument =
          Expression::compile("`" + field + "`", scope(in, before, nullptr));
      if (!argument.ok()) continue;
      plan.model_lists.push_back(plan.aggregates.size());
      plan.aggregates.push_back({AggregateKind::kList, std::move(*argument), 0});
    } else {
      plan.model_fields.push_back(static_cast<size_t>(slot));
    }
  }
}

void PipelineBuilder::build_model(const Settings& s, const Inputs& in, Layout& layout,
                                  StreamPlan& plan) {
  const Settings m = s.map("model");
  const std::string use = m.text("use");
  ModelRunner* runner = nullptr;
  bool is_known = false;
  std::vector<std::string> names;
  for (size_t i = 0; i < app_.models.size(); ++i) {
    names.push_back(app_.models[i].name);
    if (app_.models[i].name != use) continue;
    is_known = true;
    runner = pipeline_->models_[i].get();
    plan.model_labels = &pipeline_->labels_[i];
  }
  if (!is_known) {
    const std::string near = nearest_word(use, names);
    errors_.push_back(m.error("use", str("there is no model '", use, "'",
                                         near.empty() ? "" : str("; did you mean ", near, "?"))));
  }
  add_model_inputs(s, in, layout, plan, runner);
  constexpr std::pair<const char*, StreamPlan::ModelResult> kResults[] = {
      {"values", StreamPlan::ModelResult::kValues},
      {"argmax", StreamPlan::ModelResult::kArgMax},
      {"max", StreamPlan::ModelResult::kMax},
      {"best", StreamPlan::ModelResult::kBest},
      {"error", StreamPlan::ModelResult::kError},
      {"detections", StreamPlan::ModelResult::kDetections},
      {"counts", StreamPlan::ModelResult::kCounts}};
  for (const auto& [name, result] : kResults) {
    if (m.text("result") == name) plan.model_result = result;
  }
  const std::vector<std::string> outputs = m.texts("output");
  plan.model_outputs = outputs.size();
  plan.model_mean = m.number("mean");
  plan.model_scale = m.number("scale");
  plan.min_score = m.number("min_score");
  plan.model_name = use;
  if (plan.model_scale == 0) errors_.push_back(m.error("scale", "must not be 0"));
  if (!plan.model_lists.empty() && !plan.model_fields.empty()) {
    errors_.push_back(m.error("input",
                              "names fields of the window's result or of its records, "
                              "not both"));
  }
  if (runner != nullptr) {
    plan.model_sizes = runner->output_sizes();
    check_model(m, *runner, plan, outputs.size());
  }
  plan.model = runner;
  for (const std::string& name : outputs) {
    if (plan.model_result == StreamPlan::ModelResult::kCounts) {
      plan.counted.push_back(class_of(m, "output", name, plan).value_or(0));
    }
    layout.names.push_back(name);
    plan.output_names.push_back(name);
  }
}

void PipelineBuilder::check_model(const Settings& m, const ModelRunner& runner,
                                  const StreamPlan& plan, size_t outputs) {
  const size_t fields = m.texts("input").size();
  size_t given = fields;
  const bool is_list = !plan.model_lists.empty();
  if (is_list && plan.window.type == WindowType::kCount) {
    given = fields * static_cast<size_t>(plan.window.size_count);
  }
  if (plan.model_takes_features) given = plan.features->output_size();
  const bool is_fixed = !is_list || plan.window.type == WindowType::kCount;
  const bool is_checked = plan.model_tensor != SIZE_MAX;
  if (is_fixed && !is_checked && given != runner.input_size()) {
    errors_.push_back(m.error(
        "input", str("the model takes ", runner.input_size(), " values, these are ", given)));
  }
  check_outputs(m, runner, plan, outputs);
}

void PipelineBuilder::check_outputs(const Settings& m, const ModelRunner& runner,
                                    const StreamPlan& plan, size_t outputs) {
  using Result = StreamPlan::ModelResult;
  const std::vector<size_t> sizes = runner.output_sizes();
  size_t least = 1;
  size_t most = 1;
  if (plan.model_result == Result::kValues) most = runner.output_size();
  if (plan.model_result == Result::kBest) least = most = 2;
  if (plan.model_result == Result::kDetections) most = 6;
  if (plan.model_result == Result::kCounts) most = outputs;
  if (outputs < least || outputs > most) {
    errors_.push_back(
        m.error("output", str("there are ", most, " values, found ", outputs, " names")));
  }
  if (plan.model_result == Result::kError && runner.input_size() != sizes[0]) {
    errors_.push_back(m.error("result", str("error needs a model with as many outputs as inputs, "
                                            "found ",
                                            runner.input_size(), " and ", sizes[0])));
  }
  const bool are_detections =
      sizes.size() == 4 && sizes[0] == 4 * sizes[1] && sizes[2] == sizes[1] && sizes[3] == 1;
  const bool is_detector =
      plan.model_result == Result::kDetections || plan.model_result == Result::kCounts;
  if (is_detector && !are_detections) {
    errors_.push_back(m.error(
        "result", str(m.text("result"),
                      " needs a model that gives boxes [n, 4], classes [n], scores [n] "
                      "and their count, as TFLite_Detection_PostProcess does; this one gives ",
                      sizes.size(), sizes.size() == 1 ? " output" : " outputs")));
  }
}

}  // namespace ew::agent
