// The streams of a pipeline that is built.
#include <algorithm>

#include "agent/pipeline_builder.h"

namespace ew::agent {

void PipelineBuilder::build_stream(const std::string& name, const StreamSource& source) {
  const Settings& s = source.settings;
  StreamPlan plan;
  plan.name = name;
  plan.signature = definition_text(*s.node());
  Inputs in = inputs_of(source.from);
  Layout layout = in.layout;
  plan.input_width = width_of(layout);
  build_resample(s, plan);
  // Payloads of rows at even times are made from the fields that the app uses.
  plan.is_json = layout.is_json && layout.is_row && plan.resample.every_us == 0;
  for (const std::string& from : source.from) {
    plan.uses_arrival_time.push_back(uses_arrival_time(from));
  }
  plan.key = compile(s, "key", scope(in, layout, &plan.cell_count));
  plan.where = compile(s, "where", scope(in, layout, &plan.cell_count));
  std::vector<std::string> added;
  plan.computed = compile_map(
      s, "set", [&] { return scope(in, layout, &plan.cell_count); },
      [&](const std::string& field) {
        layout.names.push_back(field);
        added.push_back(field);
      });
  if (s.has("window")) {
    build_window(s, in, layout, plan);
    layout = {.is_row = false};
    for (const NamedExpression& one : plan.select) layout.names.push_back(one.name);
    plan.output_names = layout.names;
  } else {
    if (s.has("select")) {
      errors_.push_back(s.error("select", "expected `window:` beside it; without one use `set:`"));
    }
    plan.output_names = added;
  }
  if (s.has("features")) build_features(s, in, layout, plan);
  if (s.has("model")) build_model(s, in, layout, plan);
  if (plan.gives_tensor && !plan.model_takes_features) {
    errors_.push_back(
        s.map("features")
            .error("output",
                   str("the chain gives ", plan.features->output_size(),
                       " values, found one name; give a name to each, or a model this name as "
                       "its input")));
  }
  plan.having = compile(s, "having", scope(in, layout, nullptr));
  if (s.has("picture")) build_picture(s, in, layout, plan);
  build_shape(s, plan);
  if (plan.resample.every_us > 0) {
    for (const std::string& field : plan.keep) slot_of(in, in.layout, field);
  }
  if (!plan.is_json) {
    for (size_t i = 0; i < pipeline_->fields_.slot_count() && layout.has_source_fields; ++i) {
      if (is_tensor(pipeline_->fields_.paths()[i])) continue;
      plan.plain_names.emplace_back(pipeline_->fields_.paths()[i], i);
    }
    for (size_t i = 0; !in.layout.has_source_fields && i < in.layout.names.size(); ++i) {
      if (is_tensor(in.layout.names[i])) continue;
      plan.plain_names.emplace_back(in.layout.names[i], i);
    }
  }
  // Payloads that are built here are JSON.
  const bool is_built = plan.has_window || !plan.computed.empty() || plan.model != nullptr ||
                        plan.feature_outputs > 0 || plan.picture || !plan.redactions.empty() ||
                        !plan.keep.empty() || plan.resample.every_us > 0;
  layout.is_json = layout.is_json || is_built;
  auto stream = std::make_unique<Stream>(std::move(plan), context());
  layouts_[name] = layout;
  layouts_[name + ".late"] = in.layout;
  senders_[name] = &stream->consumers;
  senders_[name + ".late"] = &stream->late_consumers;
  connect(in, stream.get());
  pipeline_->streams_.push_back(std::move(stream));
}

void PipelineBuilder::build_resample(const Settings& s, StreamPlan& plan) {
  if (!s.has("resample")) return;
  const Settings r = s.map("resample");
  plan.resample.every_us = r.duration_us("every");
  plan.resample.max_gap_us = r.duration_us("max_gap");
  const std::string fill = r.text("fill");
  plan.resample.fill = fill == "linear" ? GapFill::kLinear
                       : fill == "none" ? GapFill::kNone
                                        : GapFill::kLast;
  if (plan.resample.max_gap_us / std::max<int64_t>(plan.resample.every_us, 1) > 1'000'000) {
    errors_.push_back(r.error("max_gap", "at most a million times 'every'"));
  }
}

bool PipelineBuilder::uses_arrival_time(const std::string& from) const {
  for (const SourcePlan& source : app_.sources) {
    if (source.name == from) {
      return source.decode.time_field.empty() && !source.type->has_own_time;
    }
  }
  const std::string base = from.substr(0, from.find('.'));
  for (const auto& stream : pipeline_->streams_) {
    if (stream->plan().name == base) {
      return !stream->plan().has_window &&
             std::ranges::all_of(stream->plan().uses_arrival_time, [](bool b) { return b; });
    }
  }
  return false;
}

void PipelineBuilder::build_window(const Settings& s, const Inputs& in, const Layout& layout,
                                   StreamPlan& plan) {
  const Settings w = s.map("window");
  constexpr std::pair<const char*, WindowType> kTypes[] = {{"tumbling", WindowType::kTumbling},
                                                           {"hopping", WindowType::kHopping},
                                                           {"sliding", WindowType::kSliding},
                                                           {"session", WindowType::kSession},
                                                           {"count", WindowType::kCount}};
  for (const auto& [name, type] : kTypes) {
    if (w.text("type") == name) plan.window.type = type;
  }
  plan.has_window = true;
  WindowOptions& o = plan.window;
  const char* needs = o.type == WindowType::kCount     ? "count"
                      : o.type == WindowType::kSession ? "gap"
                                                       : "size";
  if (!w.has(needs)) {
    errors_.push_back(w.error("type", str("a ", w.text("type"), " window needs '", needs, "'")));
  }
  o.size_us = o.type == WindowType::kSession ? w.duration_us("gap") : w.duration_us("size");
  o.every_us = w.has("every") ? w.duration_us("every") : o.size_us;
  if (o.type == WindowType::kHopping && (!w.has("every") || o.every_us > o.size_us ||
                                         o.size_us / std::max<int64_t>(o.every_us, 1) > 1000)) {
    errors_.push_back(w.error("every",
                              "a hopping window needs 'every', at most 'size' and at "
                              "least a thousandth of it"));
  }
  if (o.type == WindowType::kTumbling) o.every_us = o.size_us;
  o.max_length_us = w.duration_us("max_length");
  if (w.has("count")) o.size_count = w.integer("count");
  o.every_count = w.has("step") ? w.integer("step") : o.size_count;
  plan.lateness_us = s.duration_us("lateness");
  plan.idle_us = s.duration_us("idle");
  if (!s.has("select") && !s.has("model") && !s.has("features")) {
    errors_.push_back(s.error("window", "expected `select:` beside it, the fields of its result"));
  }
  plan.select = compile_map(
      s, "select",
      [&] {
        ExpressionScope made = scope(in, layout, nullptr);
        made.aggregates = &plan.aggregates;
        // A window's result has no single record: fields stand inside aggregates.
        made.cell_count = &plan.cell_count;
        return made;
      },
      [](const std::string&) {});
  check_plain_fields(s, plan);
}

void PipelineBuilder::check_plain_fields(const Settings& s, const StreamPlan& plan) {
  for (const NamedExpression& one : plan.select) {
    if (!one.expression.reads_fields()) continue;
    errors_.push_back(s.error("select", str(one.name, ": '", one.expression.text(),
                                            "': a window has many records; say which, such as "
                                            "last(",
                                            one.expression.first_field(), "), or use `key`")));
  }
}

Layout PipelineBuilder::window_layout(const Inputs& in, const StreamPlan& plan) const {
  Layout layout = in.layout;
  for (const NamedExpression& one : plan.computed) layout.names.push_back(one.name);
  return layout;
}

void PipelineBuilder::build_shape(const Settings& s, StreamPlan& plan) {
  plan.keep = s.texts("keep");
  for (const std::string& field : s.texts("drop")) {
    plan.redactions.push_back({.what = Redaction::What::kDrop, .field = field});
  }
  const host::SecretKey* key = pipeline_->hash_key_ ? &*pipeline_->hash_key_ : nullptr;
  for (const std::string& field : s.texts("hash")) {
    plan.redactions.push_back({.what = Redaction::What::kHash, .field = field, .key = key});
  }
  if (const host::YamlNode* round = s.node("round"); round != nullptr && round->is_map()) {
    for (const auto& entry : round->map) {
      const std::string& text = entry.value.text;
      if (text.size() != 1 || text[0] < '0' || text[0] > '9') {
        errors_.push_back(entry.value.error("round: expected 0 to 9 decimals"));
        continue;
      }
      plan.redactions.push_back(
          {.what = Redaction::What::kRound, .field = entry.key, .decimals = text[0] - '0'});
    }
  }
}

}  // namespace ew::agent
