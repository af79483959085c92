#pragma once
// An app file, read and checked: what there is, but nothing of it running.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/rule.h"
#include "agent/settings.h"
#include "agent/sink.h"
#include "agent/source.h"
#include "agent/stream.h"

namespace ew::agent {

enum class PayloadFormat { kJson, kCsv, kText, kRaw, kCbor, kSparkplug, kBinary, kTensor };

/// What comes into a source, as fields.
struct DecodePlan {
  PayloadFormat format = PayloadFormat::kJson;
  std::vector<std::string> columns;  ///< of CSV
  char separator = ',';
  std::string key_field;      ///< "" for none
  int key_level = -1;         ///< level of the topic that is the key, from 0; -1: not the topic
  std::string time_field;     ///< "" for arrival
  double time_unit_us = 1e6;  ///< microseconds of one unit of the time field
  bool is_time_text = false;  ///< ISO 8601
  const host::YamlNode* layout = nullptr;  ///< of kBinary
  int64_t max_payload = 0;
  size_t max_keys = 0;
  int64_t max_ahead_us = 0;  ///< event times further ahead of the clock are taken as the clock's
};

struct SourcePlan {
  std::string name;
  const SourceType* type = nullptr;
  Settings settings{nullptr, {}};
  DecodePlan decode;
  bool is_commands = false;  ///< takes what operators say instead of data
};

struct SinkPlan {
  std::string name;
  const SinkType* type = nullptr;
  Settings settings{nullptr, {}};
  std::vector<std::string> from;
};

struct ModelPlan {
  std::string name;
  std::string file;
  std::string device;
  std::string labels;  ///< a file with the classes' names; "" for none
  std::optional<ops::signal::SsdOptions> ssd;
  std::string shadow;  ///< file of a model that runs beside it; "" for none
  Settings shadow_settings{nullptr, {}};
  host::YamlPlace place;
};

struct StreamSource {
  std::vector<std::string> from;
  Settings settings{nullptr, {}};
};

struct App {
  std::string name;
  std::string file;
  std::string folder;  ///< of the file: relative paths start here
  std::string state;   ///< folder for queue, ledger and token; "" for none
  std::shared_ptr<const host::YamlNode> document;
  std::vector<SourcePlan> sources;
  std::vector<ModelPlan> models;
  std::vector<std::pair<std::string, StreamSource>> streams;  ///< in an order that works
  std::vector<std::pair<std::string, StreamSource>> rules;
  std::vector<SinkPlan> sinks;

  Settings agent{nullptr, {}};                                ///< the file's top words
  std::vector<std::unique_ptr<std::vector<WordDef>>> tables;  ///< words of sources and sinks
};

/// `sources.in.port=1884`, one --set.
struct Override {
  std::string path;
  std::string value;
};

/// The words of each part; `common` words stand beside the words of a source's or sink's type.
std::span<const WordDef> app_words();
std::span<const WordDef> source_common_words();
std::span<const WordDef> sink_common_words();
std::span<const WordDef> stream_words();
std::span<const WordDef> rule_words();
std::span<const WordDef> model_words();
std::span<const WordDef> window_words();

/// Reads and checks everything that needs no model and no network. All errors are found, not only
/// the first; each says file, line, column and the nearest word.
struct Checked {
  std::unique_ptr<App> app;  ///< null if there are errors
  std::vector<Error> errors;
};
Checked load_app(const std::string& path, const std::vector<Override>& overrides = {});
Checked parse_app(std::string_view text, const std::string& file,
                  const std::vector<Override>& overrides = {});
/// The app under a node of another document (tests).
Checked check_document(const host::YamlNode& root, const std::string& file);

/// The JSON Schema (draft 2020-12) of app files, from the same tables.
std::string app_schema();

}  // namespace ew::agent
