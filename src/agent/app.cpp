// Reads app files: words, names and references. Expressions are checked when the pipeline is built.
#include "agent/app.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "agent/command_door.h"
#include "agent/line_feed.h"
#include "agent/payload_decoder.h"
#include "base/file.h"

namespace ew::agent {
namespace {

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 40 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

class Reader {
 public:
  Reader(std::shared_ptr<const host::YamlNode> document, const std::string& file) {
    app_ = std::make_unique<App>();
    app_->document = std::move(document);
    app_->file = file;
    const size_t slash = file.rfind('/');
    app_->folder = slash == std::string::npos ? "." : file.substr(0, slash);
  }

  Checked run() {
    const host::YamlNode& root = *app_->document;
    if (!root.is_map()) {
      add(root.error(
          str("expected a map with the words app, sources and sinks, found ", root.kind_name())));
      return {nullptr, std::move(errors_)};
    }
    check_words(root, app_words(), errors_);
    app_->agent = Settings(&root, app_words());
    app_->name = app_->agent.text("app");
    if (app_->agent.has("app") && !is_name(app_->name)) add(name_error(*root.find("app")));
    app_->state = app_->agent.text("state");
    if (!app_->state.empty() && app_->state[0] != '/') {
      app_->state = app_->folder + "/" + app_->state;
    }
    read_sources();
    read_models();
    read_parts("streams", stream_words(), app_->streams);
    read_parts("rules", rule_words(), app_->rules);
    read_sinks();
    check_references();
    if (errors_.empty()) order_streams();
    if (!errors_.empty()) app_ = nullptr;
    return {std::move(app_), std::move(errors_)};
  }

 private:
  void add(Error error) { errors_.push_back(std::move(error)); }

  /// The words of one item whose type adds some.
  std::span<const WordDef> merged(std::span<const WordDef> common, std::span<const WordDef> own) {
    auto table = std::make_unique<std::vector<WordDef>>(common.begin(), common.end());
    table->insert(table->end(), own.begin(), own.end());
    app_->tables.push_back(std::move(table));
    return *app_->tables.back();
  }

  static Error name_error(const host::YamlNode& at) {
    return at.error("a name has 1 to 40 letters, digits, '_' and '-'");
  }

  /// Calls visit(entry) for each map under a top word.
  template <typename Visit>
  void each(const char* part, Visit visit) {
    const host::YamlNode* node = app_->document->find(part);
    if (node == nullptr || !node->is_map()) return;
    for (const host::YamlNode::Entry& entry : node->map) {
      if (!is_name(entry.key)) {
        add(invalid_data(entry.place, ": ", part, ": '", entry.key,
                         "': a name has 1 to 40 letters, digits, '_' and '-'"));
      } else if (!entry.value.is_map()) {
        add(entry.value.error(str(entry.key, ": expected a map, found ", entry.value.kind_name())));
      } else {
        visit(entry);
      }
    }
  }

  void claim_name(const host::YamlNode::Entry& entry) {
    const auto [before, is_new] = names_.try_emplace(entry.key, entry.place);
    if (!is_new) {
      add(invalid_data(entry.place, ": '", entry.key, "' is already the name of something at ",
                       before->second, "; sources, streams and rules share their names"));
    }
  }

  template <typename Type>
  const Type* find_type(const host::YamlNode::Entry& entry, std::span<const Type* const> types) {
    const host::YamlNode* node = entry.value.find("type");
    if (node == nullptr) {
      add(entry.value.error(str(entry.key, ": expected the word 'type'")));
      return nullptr;
    }
    std::vector<std::string> names;
    for (const Type* type : types) {
      if (node->text == type->name) return type;
      names.emplace_back(type->name);
    }
    const std::string near = nearest_word(node->text, names);
    add(node->error(str("type: there is no '", node->text, "'",
                        near.empty() ? str("; expected one of ", join(names, ", "))
                                     : str("; did you mean ", near, "?"))));
    return nullptr;
  }

  void read_sources() {
    each("sources", [&](const host::YamlNode::Entry& entry) {
      claim_name(entry);
      const host::YamlNode* role = entry.value.find("role");
      if (role == nullptr || role->text != "commands") data_sources_.push_back(entry.key);
      const SourceType* type = find_type(entry, source_types());
      if (type == nullptr) return;
      const std::span<const WordDef> words = merged(source_common_words(), type->words);
      const size_t before = errors_.size();
      check_words(entry.value, words, errors_);
      if (errors_.size() > before) return;
      SourcePlan plan;
      plan.name = entry.key;
      plan.type = type;
      plan.settings = Settings(&entry.value, words);
      plan.is_commands = plan.settings.text("role") == "commands";
      read_decode(plan);
      app_->sources.push_back(std::move(plan));
    });
    if (app_->agent.has("http")) app_->sources.push_back(command_door_plan());
  }

  void read_decode(SourcePlan& plan) {
    const Settings& s = plan.settings;
    DecodePlan& d = plan.decode;
    constexpr std::pair<const char*, PayloadFormat> kFormats[] = {
        {"json", PayloadFormat::kJson},    {"csv", PayloadFormat::kCsv},
        {"text", PayloadFormat::kText},    {"raw", PayloadFormat::kRaw},
        {"cbor", PayloadFormat::kCbor},    {"sparkplug", PayloadFormat::kSparkplug},
        {"binary", PayloadFormat::kBinary}};
    for (const auto& [name, format] : kFormats) {
      if (s.text("format") == name) d.format = format;
    }
    d.columns = s.texts("columns");
    d.layout = s.node("layout");
    if (d.format == PayloadFormat::kBinary && d.layout == nullptr) {
      add(s.error("format", "binary needs 'layout', a list of fields"));
    } else if (d.layout != nullptr) {
      const auto layout = read_layout(*d.layout);
      if (!layout.ok()) add(layout.error());
    }
    const std::string separator = s.text("separator");
    if (separator.size() != 1) add(s.error("separator", "expected one character"));
    d.separator = separator.empty() ? ',' : separator[0];
    if (d.format == PayloadFormat::kCsv && d.columns.empty()) read_header(plan);
    d.key_field = s.text("key");
    if (s.has("key_level")) d.key_level = static_cast<int>(s.integer("key_level")) - 1;
    if (!d.key_field.empty() && d.key_level >= 0) {
      add(s.error("key_level", "the key is a field or a level of the topic, not both"));
    }
    d.time_field = s.text("time");
    constexpr std::pair<const char*, double> kUnits[] = {
        {"s", 1e6}, {"ms", 1e3}, {"us", 1}, {"ns", 1e-3}};
    for (const auto& [name, us] : kUnits) {
      if (s.text("time_unit") == name) d.time_unit_us = us;
    }
    d.is_time_text = s.text("time_unit") == "iso";
    d.max_payload = s.size("max_payload");
    d.max_keys = static_cast<size_t>(s.integer("max_keys"));
    d.max_ahead_us = s.duration_us("max_ahead");
    if (plan.type->tensor != nullptr) read_tensor_decode(plan);
  }

  void read_tensor_decode(SourcePlan& plan) {
    constexpr int64_t kMaxTensor = 256 << 20;
    const Settings& s = plan.settings;
    plan.decode.format = PayloadFormat::kTensor;
    if (!s.has("max_payload")) plan.decode.max_payload = kMaxTensor;
    for (const char* word : {"format", "columns", "layout", "separator", "key", "key_level"}) {
      if (s.has(word)) add(s.error(word, str("a source of type ", plan.type->name, " has none")));
    }
  }

  /// The names in a CSV file's first line, where the app file does not say them.
  void read_header(SourcePlan& plan) {
    const Settings& s = plan.settings;
    std::string path = std::string_view(plan.type->name) == "file" ? s.text("path") : "";
    if (!path.empty() && path[0] != '/') path = app_->folder + "/" + path;
    if (!path.empty() && s.flag("header")) {
      plan.decode.columns = csv_header(path, plan.decode.separator);
    }
    if (plan.decode.columns.empty()) {
      add(s.error("format", "csv needs 'columns', or a file whose first line names them"));
    }
  }

  void read_models() {
    each("models", [&](const host::YamlNode::Entry& entry) {
      check_words(entry.value, model_words(), errors_);
      const Settings s(&entry.value, model_words());
      std::string file = s.text("file");
      if (!file.empty() && file[0] != '/') file = app_->folder + "/" + file;
      std::string labels = s.text("labels");
      if (!labels.empty() && labels[0] != '/') labels = app_->folder + "/" + labels;
      const Settings shadow_settings = s.map("shadow");
      std::string shadow = s.has("shadow") ? shadow_settings.text("file") : "";
      if (!shadow.empty() && shadow[0] != '/') shadow = app_->folder + "/" + shadow;
      app_->models.push_back({.name = entry.key,
                              .file = file,
                              .device = s.text("device"),
                              .labels = labels,
                              .ssd = read_ssd(s),
                              .shadow = shadow,
                              .shadow_settings = shadow_settings,
                              .place = entry.place});
    });
  }

  std::optional<ops::signal::SsdOptions> read_ssd(const Settings& model) {
    if (!model.has("ssd")) return std::nullopt;
    const Settings s = model.map("ssd");
    ops::signal::SsdOptions o;
    for (const std::string& text : s.texts("grids")) {
      int64_t cells = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cells);
      if (error != std::errc() || end != text.data() + text.size() || cells < 1 || cells > 1024) {
        add(s.error("grids", str("expected 1 to 1024 cells, found '", text, "'")));
      }
      o.grids.push_back(cells);
    }
    o.smallest = s.number("smallest");
    o.largest = s.number("largest");
    o.scores = s.text("scores") == "softmax" ? ops::signal::ScoreKind::kSoftmax
               : s.text("scores") == "none"  ? ops::signal::ScoreKind::kNone
                                             : ops::signal::ScoreKind::kSigmoid;
    o.has_background = s.flag("background");
    o.most = s.integer("most");
    o.min_score = s.number("min_score");
    o.max_overlap = s.number("max_overlap");
    return o;
  }

  void read_parts(const char* part, std::span<const WordDef> words,
                  std::vector<std::pair<std::string, StreamSource>>& out) {
    each(part, [&](const host::YamlNode::Entry& entry) {
      claim_name(entry);
      check_words(entry.value, words, errors_);
      Settings s(&entry.value, words);
      out.push_back({entry.key, {s.texts("from"), s}});
    });
  }

  void read_sinks() {
    each("sinks", [&](const host::YamlNode::Entry& entry) {
      const SinkType* type = find_type(entry, sink_types());
      if (type == nullptr) return;
      const std::span<const WordDef> words = merged(sink_common_words(), type->words);
      const size_t before = errors_.size();
      check_words(entry.value, words, errors_);
      if (errors_.size() > before) return;
      Settings s(&entry.value, words);
      app_->sinks.push_back({entry.key, type, s, s.texts("from")});
    });
  }

  void check_from(const Settings& s, const std::vector<std::string>& from,
                  const std::vector<std::string>& known, std::string_view what) {
    for (const std::string& name : from) {
      if (std::ranges::find(known, name) != known.end()) continue;
      const std::string near = nearest_word(name, known);
      add(s.error("from", str("there is no ", what, " '", name, "'",
                              near.empty() ? str("; there are ", join(known, ", "))
                                           : str("; did you mean ", near, "?"))));
    }
  }

  void check_references() {
    // What streams and rules can take; also sources with faults of their own.
    std::vector<std::string> data = data_sources_;
    for (const auto& [name, stream] : app_->streams) {
      data.push_back(name);
      if (stream.settings.has("window")) data.push_back(name + ".late");
    }
    for (const auto& [name, stream] : app_->streams) {
      check_from(stream.settings, stream.from, data, "source or stream");
    }
    std::vector<std::string> rules;
    for (const auto& [name, rule] : app_->rules) {
      check_from(rule.settings, rule.from, data, "source or stream");
      rules.push_back(name);
    }
    for (const auto& [name, rule] : app_->rules) {
      for (const std::string& other : rule.settings.texts("while_active")) {
        if (std::ranges::find(rules, other) == rules.end()) {
          add(rule.settings.error("while_active", str("there is no rule '", other, "'")));
        }
      }
    }
    std::vector<std::string> all = data;
    all.insert(all.end(), rules.begin(), rules.end());
    for (const SinkPlan& sink : app_->sinks) {
      check_from(sink.settings, sink.from, all, "stream or rule");
    }
  }

  /// Streams behind those that they take from.
  void order_streams() {
    auto waiting = std::move(app_->streams);
    app_->streams.clear();
    const auto is_waiting = [&](const std::string& name) {
      const std::string base = name.substr(0, name.find('.'));
      return std::ranges::any_of(waiting, [&](const auto& s) { return s.first == base; });
    };
    while (!waiting.empty()) {
      const auto ready = std::ranges::find_if(waiting, [&](const auto& stream) {
        return std::ranges::none_of(stream.second.from, is_waiting);
      });
      if (ready == waiting.end()) {
        add(waiting[0].second.settings.error(
            "from", str("'", waiting[0].first, "' takes from itself, over other streams or not")));
        return;
      }
      app_->streams.push_back(std::move(*ready));
      waiting.erase(ready);
    }
  }

  std::unique_ptr<App> app_;
  std::vector<Error> errors_;
  std::map<std::string, host::YamlPlace> names_;
  std::vector<std::string> data_sources_;
};

Status apply(host::YamlNode& root, const Override& set) {
  host::YamlNode* node = &root;
  const std::vector<std::string> words = split(set.path, '.');
  for (size_t i = 0; i < words.size(); ++i) {
    if (!node->is_map()) {
      return invalid_argument("--set ", set.path, ": '", words[i], "' is below ", node->kind_name(),
                              ", expected a map");
    }
    host::YamlNode* next = nullptr;
    for (host::YamlNode::Entry& entry : node->map) {
      if (entry.key == words[i]) next = &entry.value;
    }
    if (next == nullptr) {
      if (i + 1 < words.size()) {
        return invalid_argument("--set ", set.path, ": there is no '", words[i], "'");
      }
      node->map.push_back({words[i], node->place, {}});
      next = &node->map.back().value;
      next->place = node->place;
    }
    node = next;
  }
  node->kind = host::YamlNode::Kind::kScalar;
  node->text = set.value;
  node->list.clear();
  node->map.clear();
  return {};
}

Checked read_document(Result<host::YamlNode> root, const std::string& file,
                      const std::vector<Override>& overrides) {
  if (!root.ok()) return {nullptr, {root.error()}};
  auto document = std::make_shared<host::YamlNode>(std::move(*root));
  for (const Override& set : overrides) {
    if (Status done = apply(*document, set); !done.ok()) return {nullptr, {done.error()}};
  }
  return Reader(std::move(document), file).run();
}

}  // namespace

Checked check_document(const host::YamlNode& root, const std::string& file) {
  return read_document(host::YamlNode(root), file, {});
}

Checked load_app(const std::string& path, const std::vector<Override>& overrides) {
  return read_document(host::load_yaml(path), path, overrides);
}

Checked parse_app(std::string_view text, const std::string& file,
                  const std::vector<Override>& overrides) {
  return read_document(host::parse_yaml(text, file), file, overrides);
}

}  // namespace ew::agent
