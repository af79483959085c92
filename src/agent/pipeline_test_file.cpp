// Pipeline tests as data: an app, what comes in, what must come out.
#include <algorithm>

#include "agent/replay.h"
#include "base/file.h"

namespace ew::agent {
namespace {

/// One thing that must come out.
struct Expected {
  std::string sink = {};
  std::string rule = {};
  std::string payload = {};                                      ///< exactly; "" for no matter
  std::vector<std::pair<std::string, std::string>> fields = {};  ///< of the JSON object, as text
  host::YamlPlace place = {};
};

std::string field_text(std::string_view payload, const std::string& path) {
  FieldTree fields;
  fields.want(path);
  Value value;
  std::string scratch;
  if (scan_json(payload, fields, {&value, 1}, scratch).fault != JsonFault::kNone)
    return "(no JSON)";
  if (value.is_text()) return std::string(value.text);
  std::string text;
  append_json(text, value);
  return text;
}

Expected read_expected(const host::YamlNode& node) {
  Expected e{.place = node.place};
  for (const auto& entry : node.map) {
    if (entry.key == "sink") {
      e.sink = entry.value.text;
    } else if (entry.key == "from") {
      e.rule = entry.value.text;
    } else if (entry.key == "payload") {
      e.payload = entry.value.text;
    } else {
      e.fields.emplace_back(entry.key, entry.value.is_null() ? "null" : entry.value.text);
    }
  }
  return e;
}

std::string mismatch(const Expected& e, const VirtualRun::Sent& sent) {
  if (!e.sink.empty() && e.sink != sent.sink)
    return str("expected sink ", e.sink, ", found ", sent.sink);
  if (!e.rule.empty() && e.rule != sent.rule)
    return str("expected from ", e.rule, ", found ", sent.rule);
  if (!e.payload.empty() && e.payload != sent.payload) {
    return str("expected ", e.payload, ", found ", sent.payload);
  }
  for (const auto& [name, text] : e.fields) {
    const std::string found = field_text(sent.payload, name);
    if (found != text) {
      return str("expected ", name, " ", text, ", found ", found, " in ", sent.payload);
    }
  }
  return "";
}

int64_t time_of(const host::YamlNode& item, int64_t before) {
  const host::YamlNode* at = item.find("at");
  if (at == nullptr) return before;
  const Result<int64_t> offset = parse_duration_us(at->text);
  return offset.ok() ? kVirtualStartUs + *offset : before;
}

Status feed(const host::YamlNode& input, VirtualRun& run) {
  int64_t now = kVirtualStartUs;
  run.advance(now);
  for (const host::YamlNode& item : input.list) {
    if (!item.is_map()) return item.error("expected a map with `source` and `payload`");
    now = time_of(item, now);
    const host::YamlNode* source = item.find("source");
    const host::YamlNode* payload = item.find("payload");
    if (source == nullptr) {
      run.advance(now);  // only time goes on
      continue;
    }
    const host::YamlNode* topic = item.find("topic");
    const host::YamlNode* key = item.find("key");
    run.process(source->text,
                {.arrival_us = now,
                 .topic = topic == nullptr ? "" : std::string_view(topic->text),
                 .key = key == nullptr ? "" : std::string_view(key->text),
                 .payload = payload == nullptr ? "" : std::string_view(payload->text)});
  }
  run.finish();
  return {};
}

/// `ledger: {source: {key: {delivered: 3}}}`: the named counts must be so.
void check_ledger(const host::YamlNode& expected, Ledger& ledger, std::vector<std::string>& wrong) {
  std::vector<LedgerRow> rows;
  for (uint32_t i = 0; i < ledger.size(); ++i) rows.push_back(ledger.at(i));
  const std::string json = ledger_json(rows);
  for (const auto& source : expected.map) {
    for (const auto& key : source.value.map) {
      for (const auto& count : key.value.map) {
        const std::string path = str("sources.", source.key, ".", key.key, ".", count.key);
        std::string found = field_text(json, path);
        if (found == "null") found = "0";
        if (found != count.value.text) {
          wrong.push_back(str(count.value.place, ": expected ", path, " ", count.value.text,
                              ", found ", found));
        }
      }
    }
  }
}

}  // namespace

Result<std::vector<std::string>> run_pipeline_test(const std::string& path,
                                                   const ModelLoader& load_model) {
  EW_TRY(const host::YamlNode test, host::load_yaml(path));
  const host::YamlNode* app_node = test.find("app");
  const host::YamlNode* input = test.find("input");
  const host::YamlNode* expect = test.find("expect");
  if (app_node == nullptr || input == nullptr || expect == nullptr) {
    return test.error("expected the words app, input and expect");
  }
  std::vector<std::string> wrong;
  Checked checked = check_document(*app_node, path);
  std::vector<std::string> errors;
  std::unique_ptr<VirtualRun> run;
  for (const Error& error : checked.errors) errors.push_back(error.message);
  if (checked.app) {
    Result<std::unique_ptr<VirtualRun>> made = VirtualRun::create(*checked.app, load_model);
    if (made.ok()) {
      run = std::move(*made);
    } else {
      errors.push_back(made.error().message);
    }
  }
  if (const host::YamlNode* expected_error = test.find("error")) {
    // The app itself must be refused with a message that contains this text.
    const bool is_found = std::ranges::any_of(errors, [&](const std::string& e) {
      return e.find(expected_error->text) != std::string::npos;
    });
    if (!is_found) {
      wrong.push_back(str(expected_error->place, ": expected the error '", expected_error->text,
                          "', found ", errors.empty() ? "none" : join(errors, "; ")));
    }
    return wrong;
  }
  if (!run) return invalid_data(join(errors, "\n"));
  std::vector<VirtualRun::Sent> sent;
  run->on_output = [&](const VirtualRun::Sent& one) { sent.push_back(one); };
  EW_TRY_VOID(feed(*input, *run));
  for (size_t i = 0; i < std::max(sent.size(), expect->list.size()); ++i) {
    if (i >= expect->list.size()) {
      wrong.push_back(str("output ", i + 1, " was not expected: ", sent[i].sink, " ", sent[i].rule,
                          " ", sent[i].payload));
      continue;
    }
    const Expected e = read_expected(expect->list[i]);
    if (i >= sent.size()) {
      wrong.push_back(str(e.place, ": this output did not come"));
    } else if (const std::string what = mismatch(e, sent[i]); !what.empty()) {
      wrong.push_back(str(e.place, ": ", what));
    }
  }
  if (const host::YamlNode* ledger = test.find("ledger")) {
    check_ledger(*ledger, run->ledger(), wrong);
  }
  return wrong;
}

}  // namespace ew::agent
