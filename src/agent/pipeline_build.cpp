// Builds a pipeline from an app file; its streams are in pipeline_build_stream.cpp.
#include <algorithm>

#include "agent/pipeline_builder.h"
#include "agent/storage.h"
#include "base/file.h"

namespace ew::agent {
namespace {

class Remap final : public Consumer {
 public:
  Remap(Edge target, std::vector<int> slots) : target_(target), slots_(std::move(slots)) {
    values_.resize(slots_.size());
  }
  void take(const Row& row, Fate& fate, size_t /*port*/) override {
    for (size_t i = 0; i < slots_.size(); ++i) {
      values_[i] = slots_[i] < 0 ? Value() : row.values[static_cast<size_t>(slots_[i])];
    }
    Row mapped = row;
    mapped.values = values_;
    target_.consumer->take(mapped, fate, target_.port);
  }

 private:
  Edge target_;
  std::vector<int> slots_;
  std::vector<Value> values_;
};

}  // namespace

std::unique_ptr<Consumer> make_remap(Edge target, std::vector<int> slots) {
  return std::make_unique<Remap>(target, std::move(slots));
}

std::string definition_text(const host::YamlNode& node) {
  std::string out;
  switch (node.kind) {
    case host::YamlNode::Kind::kNull:
      return "~";
    case host::YamlNode::Kind::kScalar:
      return node.text;
    case host::YamlNode::Kind::kList:
      for (const host::YamlNode& item : node.list) out += "[" + definition_text(item) + "]";
      return out;
    case host::YamlNode::Kind::kMap:
      for (const auto& entry : node.map) {
        out += "{" + entry.key + ":" + definition_text(entry.value) + "}";
      }
      return out;
  }
  return out;
}

std::unique_ptr<Pipeline> PipelineBuilder::run(const ModelLoader& load_model) {
  load_models(load_model);
  Result<std::optional<host::SecretKey>> hash_key = hashing_key(app_);
  if (hash_key.ok()) {
    pipeline_->hash_key_ = *hash_key;
  } else {
    errors_.push_back(hash_key.error());
  }
  std::vector<Error> found = std::move(errors_);
  for (is_first_pass_ = true;; is_first_pass_ = false) {
    errors_ = found;
    layouts_.clear();
    senders_.clear();
    build_sources();
    for (const auto& [name, stream] : app_.streams) build_stream(name, stream);
    for (const auto& [name, rule] : app_.rules) build_rule(name, rule);
    if (!is_first_pass_) break;
    pipeline_->sources_.clear();
    pipeline_->streams_.clear();
    pipeline_->rules_.clear();
    pipeline_->remaps_.clear();
  }
  build_sinks();
  pipeline_->values_.resize(pipeline_->fields_.slot_count());
  if (!errors_.empty()) return nullptr;
  return std::move(pipeline_);
}

void PipelineBuilder::load_models(const ModelLoader& load_model) {
  for (const ModelPlan& plan : app_.models) {
    load_labels(plan);
    if (!load_model) {
      errors_.push_back(invalid_data(plan.place, ": ", plan.name, ": this program runs no models"));
      pipeline_->models_.push_back(nullptr);
      pipeline_->shadows_.push_back(nullptr);
      continue;
    }
    Result<std::unique_ptr<ModelRunner>> runner = load_model({plan.file, plan.device, plan.ssd});
    pipeline_->shadows_.push_back(nullptr);
    if (runner.ok() && !plan.shadow.empty()) {
      runner = add_shadow(plan, std::move(*runner), load_model);
    }
    if (!runner.ok()) {
      errors_.push_back(at(str(plan.place, ": ", plan.name), runner.error()));
      pipeline_->models_.push_back(nullptr);
    } else {
      pipeline_->models_.push_back(std::move(*runner));
    }
  }
}

Result<std::unique_ptr<ModelRunner>> PipelineBuilder::add_shadow(
    const ModelPlan& plan, std::unique_ptr<ModelRunner> old_model, const ModelLoader& load_model) {
  EW_TRY(auto new_model, load_model({plan.shadow, plan.device, plan.ssd}));
  const Settings& s = plan.shadow_settings;
  const std::string fault = ShadowRunner::fault(*old_model, *new_model, s);
  if (!fault.empty()) return invalid_data("shadow: ", plan.shadow, " ", fault);
  auto shadow = std::make_unique<ShadowRunner>(std::move(old_model), std::move(new_model), s);
  pipeline_->shadows_.back() = shadow.get();
  return std::unique_ptr<ModelRunner>(std::move(shadow));
}

void PipelineBuilder::load_labels(const ModelPlan& plan) {
  constexpr int64_t kMaxBytes = int64_t{1} << 20;
  pipeline_->labels_.emplace_back();
  if (plan.labels.empty()) return;
  const Result<std::vector<uint8_t>> bytes = read_file(plan.labels, kMaxBytes);
  if (!bytes.ok()) {
    errors_.push_back(at(str(plan.place, ": ", plan.name, ": labels"), bytes.error()));
    return;
  }
  std::string line;
  for (const uint8_t byte : *bytes) {
    if (byte != '\n') {
      if (byte != '\r') line += static_cast<char>(byte);
      continue;
    }
    pipeline_->labels_.back().push_back(std::exchange(line, ""));
  }
  if (!line.empty()) pipeline_->labels_.back().push_back(line);
}

void PipelineBuilder::build_sources() {
  for (const SourcePlan& plan : app_.sources) {
    Pipeline::SourceState source;
    source.name = plan.name;
    source.decode = plan.decode;
    source.is_commands = plan.is_commands;
    source.source_row = ledger_.row(LedgerKind::kSource, plan.name, "");
    FieldTree& fields = pipeline_->fields_;
    if (plan.decode.format == PayloadFormat::kCsv) {
      for (const std::string& column : plan.decode.columns) {
        source.column_slots.push_back(fields.want(column));
      }
    }
    if (plan.decode.format == PayloadFormat::kText) {
      source.column_slots.push_back(fields.want("value"));
    }
    if (!plan.decode.key_field.empty()) source.key_slot = fields.want(plan.decode.key_field);
    if (!plan.decode.time_field.empty()) source.time_slot = fields.want(plan.decode.time_field);
    source.decoder = make_decoder(plan.decode);
    const bool is_tensor = plan.decode.format == PayloadFormat::kTensor;
    if (is_tensor) source.tensor_slot = fields.want(plan.type->tensor->field);
    const bool is_json =
        plan.decode.format == PayloadFormat::kJson || is_tensor || source.decoder != nullptr;
    layouts_[plan.name] = {.has_source_fields = true, .is_json = is_json};
    pipeline_->sources_.push_back(std::move(source));
  }
  for (size_t i = 0; i < app_.sources.size(); ++i) {
    senders_[app_.sources[i].name] = &pipeline_->sources_[i].consumers;
  }
}

std::unique_ptr<PayloadDecoder> PipelineBuilder::make_decoder(const DecodePlan& plan) {
  switch (plan.format) {
    case PayloadFormat::kCbor:
      return make_cbor_decoder();
    case PayloadFormat::kSparkplug:
      return make_sparkplug_decoder();
    case PayloadFormat::kBinary: {
      Result<std::vector<BinaryField>> layout = read_layout(*plan.layout);
      return make_binary_decoder(layout.ok() ? std::move(*layout) : std::vector<BinaryField>());
    }
    default:
      return nullptr;
  }
}

PipelineBuilder::Inputs PipelineBuilder::inputs_of(const std::vector<std::string>& from) {
  Inputs in{.from = from};
  for (const std::string& name : from) {
    const Layout& layout = layouts_[name];
    if (&name == &from.front()) {
      in.layout = layout;
      continue;
    }
    in.layout.is_json = in.layout.is_json && layout.is_json;
    in.layout.is_row = in.layout.is_row && layout.is_row;
    if (layout.has_source_fields == in.layout.has_source_fields &&
        layout.names == in.layout.names) {
      continue;
    }
    in.is_mapped = true;
  }
  if (in.is_mapped) {
    in.layout.names.clear();
    in.layout.has_source_fields = false;
    for (const std::string& name : from) {
      for (const std::string& field : layouts_[name].names) add_name(in.layout.names, field);
      if (!layouts_[name].has_source_fields) continue;
      for (const std::string& field : pipeline_->fields_.paths()) {
        add_name(in.layout.names, field);
      }
    }
  }
  return in;
}

int PipelineBuilder::slot_of(const Inputs& in, const Layout& layout, std::string_view name) {
  const size_t base = layout.has_source_fields ? pipeline_->fields_.slot_count() : 0;
  for (size_t i = layout.names.size(); i-- > 0;) {
    if (layout.names[i] == name) return static_cast<int>(base + i);
  }
  const bool may_want = layout.has_source_fields ||
                        (in.is_mapped && std::ranges::any_of(in.from, [&](const auto& from) {
                           return layouts_[from].has_source_fields;
                         }));
  if (!may_want) return -1;
  const size_t slot = pipeline_->fields_.want(name);
  // While fields are still found, a mapped layout lacks them; the second pass has them.
  return layout.has_source_fields ? static_cast<int>(slot) : is_first_pass_ ? 0 : -1;
}

ExpressionScope PipelineBuilder::scope(const Inputs& in, const Layout& layout, size_t* cells) {
  ExpressionScope made;
  made.slot_of = [this, &in, &layout](std::string_view name) {
    if (in.used != nullptr) add_name(*in.used, std::string(name));
    if (is_tensor(name)) return -1;
    return slot_of(in, layout, name);
  };
  made.names = layout.names;
  made.cell_count = cells;
  return made;
}

Expression PipelineBuilder::compile_text(const host::YamlNode& node, const std::string& text,
                                         std::string_view word, const ExpressionScope& scope) {
  Result<Expression> made = Expression::compile(text, scope);
  if (made.ok()) return std::move(*made);
  errors_.push_back({made.error().code, str(node.place, ": ", word, ": ", made.error().message)});
  return {};
}

std::vector<NamedExpression> PipelineBuilder::compile_map(
    const Settings& s, std::string_view word, const std::function<ExpressionScope()>& scope,
    const std::function<void(const std::string&)>& on_name) {
  std::vector<NamedExpression> out;
  const host::YamlNode* map = s.node(word);
  if (map == nullptr || !map->is_map()) return out;
  for (const host::YamlNode::Entry& entry : map->map) {
    if (!entry.value.is_scalar()) {
      errors_.push_back(entry.value.error(str(word, ".", entry.key, ": expected an expression")));
      continue;
    }
    out.push_back({entry.key, compile_text(entry.value, entry.value.text, word, scope())});
    on_name(entry.key);
  }
  return out;
}

void PipelineBuilder::connect(const Inputs& in, Consumer* consumer) {
  for (size_t port = 0; port < in.from.size(); ++port) {
    Edge edge{consumer, port};
    if (in.is_mapped) {
      const Layout& layout = layouts_[in.from[port]];
      std::vector<int> slots;
      const size_t base = layout.has_source_fields ? pipeline_->fields_.slot_count() : 0;
      for (const std::string& name : in.layout.names) {
        int slot = -1;
        for (size_t i = 0; i < layout.names.size(); ++i) {
          if (layout.names[i] == name) slot = static_cast<int>(base + i);
        }
        if (slot < 0 && layout.has_source_fields) {
          slot = static_cast<int>(pipeline_->fields_.want(name));
        }
        slots.push_back(slot);
      }
      pipeline_->remaps_.push_back(make_remap(edge, std::move(slots)));
      edge = {pipeline_->remaps_.back().get(), 0};
    }
    if (std::vector<Edge>* sender = senders_[in.from[port]]) sender->push_back(edge);
  }
}

void PipelineBuilder::build_rule(const std::string& name, const StreamSource& source) {
  const Settings& s = source.settings;
  RulePlan plan;
  plan.name = name;
  plan.signature = definition_text(*s.node());
  std::vector<std::string> used;
  Inputs in = inputs_of(source.from);
  in.used = &used;
  const ExpressionScope fields = scope(in, in.layout, &plan.cell_count);
  plan.when = compile(s, "when", fields);
  plan.clear = compile(s, "clear", fields);
  plan.value = compile(s, "value", fields);
  plan.dedupe = compile(s, "dedupe", fields);
  if (plan.value.is_empty() && !plan.when.first_field().empty()) {
    Result<Expression> first = Expression::compile("`" + plan.when.first_field() + "`", fields);
    if (first.ok()) plan.value = std::move(*first);
  }
  plan.is_event = s.text("kind") == "event";
  plan.for_us = s.duration_us("for");
  plan.clear_for_us = s.duration_us("clear_for");
  plan.hold_off_us = s.duration_us("hold_off");
  plan.update_every_us = s.duration_us("update_every");
  plan.dead_band = s.number("dead_band");
  plan.absent_us = s.duration_us("absent");
  const auto severity_of = [](const std::string& text) {
    return text == "info"       ? Severity::kInfo
           : text == "critical" ? Severity::kCritical
                                : Severity::kWarning;
  };
  plan.severity = severity_of(s.text("severity"));
  if (s.has("escalate")) {
    const Settings e = s.map("escalate");
    plan.escalate_after_us = e.duration_us("after");
    plan.escalate_to = severity_of(e.text("to"));
  }
  plan.message = s.text("message");
  if (!s.has("when") && plan.absent_us == 0) {
    errors_.push_back(s.node()->error(str(name, ": expected `when:` or `absent:`")));
  }
  // Of a window all results are evidence, of single records the fields that the rule reads.
  for (const std::string& field : in.layout.is_row ? used : in.layout.names) {
    const int slot = slot_of(in, in.layout, field);
    if (slot >= 0) plan.evidence.emplace_back(field, static_cast<size_t>(slot));
  }
  auto rule = std::make_unique<Rule>(std::move(plan), context());
  for (const std::string& other : s.texts("while_active")) {
    for (const auto& earlier : pipeline_->rules_) {
      if (earlier->plan().name == other) rule->while_active.push_back(earlier.get());
    }
  }
  if (rule->while_active.size() != s.texts("while_active").size()) {
    errors_.push_back(s.error("while_active", "names rules that stand above this one"));
  }
  senders_[name] = &rule->consumers;
  connect(in, rule.get());
  pipeline_->rules_.push_back(std::move(rule));
}

void PipelineBuilder::build_sinks() {
  for (const SinkPlan& plan : app_.sinks) {
    const Settings q = plan.settings.map("queue");
    const std::string policy = q.text("when_full");
    OutboxOptions options{.app = app_.name,
                          .name = plan.name,
                          .max_memory_bytes = static_cast<size_t>(q.size("memory")),
                          .max_age_us = q.duration_us("max_age"),
                          .policy = policy == "drop_oldest"            ? QueuePolicy::kDropOldest
                                    : policy == "drop_lowest_priority" ? QueuePolicy::kDropLowest
                                                                       : QueuePolicy::kReject,
                          .trim_every_bytes = static_cast<uint64_t>(q.size("disk")) / 8};
    auto outbox = std::make_unique<Outbox>(options, context(), ledger_);
    for (const std::string& from : plan.from) {
      const bool is_rule =
          std::ranges::any_of(app_.rules, [&](const auto& rule) { return rule.first == from; });
      const size_t port = outbox->add_route(
          {.name = from, .priority = is_rule ? Priority::kAlert : Priority::kTelemetry});
      if (std::vector<Edge>* sender = senders_[from]) sender->push_back({outbox.get(), port});
    }
    pipeline_->outboxes_.push_back(std::move(outbox));
  }
}

std::unique_ptr<Pipeline> Pipeline::build(const App& app, const ModelLoader& load_model,
                                          Ledger& ledger, std::vector<Error>& errors) {
  return PipelineBuilder(app, ledger, errors).run(load_model);
}

}  // namespace ew::agent
