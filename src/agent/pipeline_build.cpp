// Builds a pipeline from an app file: layouts of rows, expressions, models, and who takes from
// whom.
#include <algorithm>
#include <map>

#include "agent/feature_runner.h"
#include "agent/pipeline.h"

namespace ew::agent {
namespace {

/// The fields of the rows that something sends: those of the sources, which grow as they are used,
/// and own ones behind them.
struct Layout {
  bool has_source_fields = false;
  bool is_json = true;
  bool is_row = true;  ///< false for windows' results
  std::vector<std::string> names = {};
};

/// Gives rows of one layout the layout of a consumer that takes several.
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

}  // namespace

class PipelineBuilder {
 public:
  PipelineBuilder(const App& app, Ledger& ledger, std::vector<Error>& errors)
      : app_(app), ledger_(ledger), errors_(errors), pipeline_(new Pipeline(app, ledger)) {}

  /// The first pass only finds out which fields of the sources are used; then their slots are
  /// fixed, and the second pass builds.
  std::unique_ptr<Pipeline> run(const ModelLoader& load_model) {
    load_models(load_model);
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

 private:
  FlowContext context() {
    Pipeline* p = pipeline_.get();
    return {p->keys_, p->now_us_,
            [p](const CoverSet& cover, DropReason reason) { p->drop_cover(cover, reason); }};
  }

  void load_models(const ModelLoader& load_model) {
    for (const ModelPlan& plan : app_.models) {
      if (!load_model) {
        errors_.push_back(
            invalid_data(plan.place, ": ", plan.name, ": this program runs no models"));
        pipeline_->models_.push_back(nullptr);
        continue;
      }
      Result<std::unique_ptr<ModelRunner>> runner = load_model({plan.file, plan.device});
      if (!runner.ok()) {
        errors_.push_back(at(str(plan.place, ": ", plan.name), runner.error()));
        pipeline_->models_.push_back(nullptr);
      } else {
        pipeline_->models_.push_back(std::move(*runner));
      }
    }
  }

  void build_sources() {
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
      const bool is_json = plan.decode.format == PayloadFormat::kJson || source.decoder != nullptr;
      layouts_[plan.name] = {.has_source_fields = true, .is_json = is_json};
      pipeline_->sources_.push_back(std::move(source));
    }
    for (size_t i = 0; i < app_.sources.size(); ++i) {
      senders_[app_.sources[i].name] = &pipeline_->sources_[i].consumers;
    }
  }

  static std::unique_ptr<PayloadDecoder> make_decoder(const DecodePlan& plan) {
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

  /// How the rows that a consumer sees are laid out, and the scope of its expressions.
  struct Inputs {
    Layout layout = {};
    bool is_mapped = false;  ///< several layouts: rows are mapped to `layout.names`
    std::vector<std::string> from = {};
    std::vector<std::string>* used = nullptr;  ///< names that expressions asked for
  };

  Inputs inputs_of(const std::vector<std::string>& from) {
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

  static void add_name(std::vector<std::string>& names, const std::string& name) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }

  size_t width_of(const Layout& layout) const {
    return (layout.has_source_fields ? pipeline_->fields_.slot_count() : 0) + layout.names.size();
  }

  /// The slot of a field, or -1. Fields of sources are made when they are asked for.
  int slot_of(const Inputs& in, const Layout& layout, std::string_view name) {
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

  ExpressionScope scope(const Inputs& in, const Layout& layout, size_t* cells) {
    ExpressionScope made;
    made.slot_of = [this, &in, &layout](std::string_view name) {
      if (in.used != nullptr) add_name(*in.used, std::string(name));
      return slot_of(in, layout, name);
    };
    made.names = layout.names;
    made.cell_count = cells;
    return made;
  }

  Expression compile(const Settings& s, std::string_view word, const ExpressionScope& scope) {
    if (!s.has(word)) return {};
    return compile_text(*s.node(word), s.text(word), word, scope);
  }
  Expression compile_text(const host::YamlNode& node, const std::string& text,
                          std::string_view word, const ExpressionScope& scope) {
    Result<Expression> made = Expression::compile(text, scope);
    if (made.ok()) return std::move(*made);
    errors_.push_back({made.error().code, str(node.place, ": ", word, ": ", made.error().message)});
    return {};
  }

  std::vector<NamedExpression> compile_map(const Settings& s, std::string_view word,
                                           const std::function<ExpressionScope()>& scope,
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

  void connect(const Inputs& in, Consumer* consumer) {
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
        pipeline_->remaps_.push_back(std::make_unique<Remap>(edge, std::move(slots)));
        edge = {pipeline_->remaps_.back().get(), 0};
      }
      if (std::vector<Edge>* sender = senders_[in.from[port]]) sender->push_back(edge);
    }
  }

  void build_stream(const std::string& name, const StreamSource& source) {
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
        errors_.push_back(
            s.error("select", "expected `window:` beside it; without one use `set:`"));
      }
      plan.output_names = added;
    }
    if (s.has("features")) build_features(s, in, layout, plan);
    if (s.has("model")) build_model(s, in, layout, plan);
    plan.having = compile(s, "having", scope(in, layout, nullptr));
    build_shape(s, plan);
    if (plan.resample.every_us > 0) {
      for (const std::string& field : plan.keep) slot_of(in, in.layout, field);
    }
    if (!plan.is_json) {
      for (size_t i = 0; i < pipeline_->fields_.slot_count() && layout.has_source_fields; ++i) {
        plan.plain_names.emplace_back(pipeline_->fields_.paths()[i], i);
      }
      for (size_t i = 0; !in.layout.has_source_fields && i < in.layout.names.size(); ++i) {
        plan.plain_names.emplace_back(in.layout.names[i], i);
      }
    }
    // Payloads that are built here are JSON.
    const bool is_built = plan.has_window || !plan.computed.empty() || plan.model != nullptr ||
                          !plan.redactions.empty() || !plan.keep.empty() ||
                          plan.resample.every_us > 0;
    layout.is_json = layout.is_json || is_built;
    auto stream = std::make_unique<Stream>(std::move(plan), context());
    layouts_[name] = layout;
    layouts_[name + ".late"] = in.layout;
    senders_[name] = &stream->consumers;
    senders_[name + ".late"] = &stream->late_consumers;
    connect(in, stream.get());
    pipeline_->streams_.push_back(std::move(stream));
  }

  void build_resample(const Settings& s, StreamPlan& plan) {
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

  bool uses_arrival_time(const std::string& from) const {
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

  void build_window(const Settings& s, const Inputs& in, const Layout& layout, StreamPlan& plan) {
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
      errors_.push_back(
          s.error("window", "expected `select:` beside it, the fields of its result"));
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

  /// `select: {id: id}` would read a field of no record.
  void check_plain_fields(const Settings& s, const StreamPlan& plan) {
    for (const NamedExpression& one : plan.select) {
      if (!one.expression.reads_fields()) continue;
      errors_.push_back(s.error("select", str(one.name, ": '", one.expression.text(),
                                              "': a window has many records; say which, such as "
                                              "last(",
                                              one.expression.first_field(), "), or use `key`")));
    }
  }

  void build_features(const Settings& s, const Inputs& in, Layout& layout, StreamPlan& plan) {
    const Settings f = s.map("features");
    if (!plan.has_window || plan.window.type != WindowType::kCount) {
      errors_.push_back(f.error("chain", "features need a window of type count"));
      return;
    }
    const Layout before = window_layout(in, plan);
    for (const std::string& field : f.texts("input")) {
      Result<Expression> argument =
          Expression::compile("`" + field + "`", scope(in, before, nullptr));
      if (!argument.ok()) {
        errors_.push_back(f.error("input", argument.error().message));
        continue;
      }
      plan.feature_lists.push_back(plan.aggregates.size());
      plan.aggregates.push_back({AggregateKind::kList, std::move(*argument), 0});
    }
    const std::vector<std::string> outputs = f.texts("output");
    plan.feature_outputs = outputs.size();
    for (const std::string& name : outputs) {
      layout.names.push_back(name);
      plan.output_names.push_back(name);
    }
    Result<std::unique_ptr<ModelRunner>> runner =
        make_feature_runner(f.text("chain"), std::max<size_t>(plan.feature_lists.size(), 1),
                            static_cast<size_t>(plan.window.size_count));
    if (!runner.ok()) {
      errors_.push_back(f.error("chain", runner.error().message));
      return;
    }
    if ((*runner)->output_size() != outputs.size()) {
      errors_.push_back(f.error("output", str("the chain gives ", (*runner)->output_size(),
                                              " values, found ", outputs.size(), " names")));
      return;
    }
    plan.features = std::move(*runner);
  }

  void build_model(const Settings& s, const Inputs& in, Layout& layout, StreamPlan& plan) {
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
    }
    if (!is_known) {
      const std::string near = nearest_word(use, names);
      errors_.push_back(m.error("use", str("there is no model '", use, "'",
                                           near.empty() ? "" : str("; did you mean ", near, "?"))));
    }
    for (const std::string& field : m.texts("input")) {
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
    constexpr std::pair<const char*, StreamPlan::ModelResult> kResults[] = {
        {"values", StreamPlan::ModelResult::kValues},
        {"argmax", StreamPlan::ModelResult::kArgMax},
        {"max", StreamPlan::ModelResult::kMax},
        {"error", StreamPlan::ModelResult::kError}};
    for (const auto& [name, result] : kResults) {
      if (m.text("result") == name) plan.model_result = result;
    }
    const std::vector<std::string> outputs = m.texts("output");
    plan.model_outputs = outputs.size();
    plan.model_mean = m.number("mean");
    plan.model_scale = m.number("scale");
    plan.model_name = use;
    if (plan.model_scale == 0) errors_.push_back(m.error("scale", "must not be 0"));
    if (!plan.model_lists.empty() && !plan.model_fields.empty()) {
      errors_.push_back(m.error("input",
                                "names fields of the window's result or of its records, "
                                "not both"));
    }
    if (runner != nullptr) check_model(m, *runner, plan, outputs.size());
    plan.model = runner;
    for (const std::string& name : outputs) {
      layout.names.push_back(name);
      plan.output_names.push_back(name);
    }
  }

  /// What stood before the window closed.
  Layout window_layout(const Inputs& in, const StreamPlan& plan) const {
    Layout layout = in.layout;
    for (const NamedExpression& one : plan.computed) layout.names.push_back(one.name);
    return layout;
  }

  void check_model(const Settings& m, const ModelRunner& runner, const StreamPlan& plan,
                   size_t outputs) {
    const size_t fields = m.texts("input").size();
    size_t given = fields;
    const bool is_list = !plan.model_lists.empty();
    if (is_list && plan.window.type == WindowType::kCount) {
      given = fields * static_cast<size_t>(plan.window.size_count);
    }
    const bool is_fixed = !is_list || plan.window.type == WindowType::kCount;
    if (is_fixed && given != runner.input_size()) {
      errors_.push_back(m.error(
          "input", str("the model takes ", runner.input_size(), " values, these are ", given)));
    }
    const bool is_values = plan.model_result == StreamPlan::ModelResult::kValues;
    const size_t expected = is_values ? runner.output_size() : 1;
    if (is_values ? outputs > expected : outputs != expected) {
      errors_.push_back(
          m.error("output", str("there are ", expected, " values, found ", outputs, " names")));
    }
    if (plan.model_result == StreamPlan::ModelResult::kError &&
        runner.input_size() != runner.output_size()) {
      errors_.push_back(m.error("result", str("error needs a model with as many outputs as inputs, "
                                              "found ",
                                              runner.input_size(), " and ", runner.output_size())));
    }
  }

  void build_shape(const Settings& s, StreamPlan& plan) {
    plan.keep = s.texts("keep");
    for (const std::string& field : s.texts("drop")) {
      plan.redactions.push_back({Redaction::What::kDrop, field, 0, 0});
    }
    for (const std::string& field : s.texts("hash")) {
      plan.redactions.push_back({Redaction::What::kHash, field, 0, 0});
    }
    if (const host::YamlNode* round = s.node("round"); round != nullptr && round->is_map()) {
      for (const auto& entry : round->map) {
        const std::string& text = entry.value.text;
        if (text.size() != 1 || text[0] < '0' || text[0] > '9') {
          errors_.push_back(entry.value.error("round: expected 0 to 9 decimals"));
          continue;
        }
        plan.redactions.push_back({Redaction::What::kRound, entry.key, text[0] - '0', 0});
      }
    }
  }

  void build_rule(const std::string& name, const StreamSource& source) {
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

  void build_sinks() {
    for (const SinkPlan& plan : app_.sinks) {
      const Settings q = plan.settings.map("queue");
      const std::string policy = q.text("when_full");
      OutboxOptions options{.app = app_.name,
                            .name = plan.name,
                            .max_memory_bytes = static_cast<size_t>(q.size("memory")),
                            .max_age_us = q.duration_us("max_age"),
                            .policy = policy == "drop_oldest"            ? QueuePolicy::kDropOldest
                                      : policy == "drop_lowest_priority" ? QueuePolicy::kDropLowest
                                                                         : QueuePolicy::kReject};
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

  const App& app_;
  Ledger& ledger_;
  std::vector<Error>& errors_;
  std::unique_ptr<Pipeline> pipeline_;
  bool is_first_pass_ = true;
  std::map<std::string, Layout> layouts_;
  std::map<std::string, std::vector<Edge>*> senders_;
};

std::unique_ptr<Pipeline> Pipeline::build(const App& app, const ModelLoader& load_model,
                                          Ledger& ledger, std::vector<Error>& errors) {
  return PipelineBuilder(app, ledger, errors).run(load_model);
}

}  // namespace ew::agent
