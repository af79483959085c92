#include "agent/schema.h"

#include "agent/device.h"
#include "agent/pipeline.h"

namespace ew::agent {
namespace {

std::string quoted(std::string_view text) {
  std::string out;
  append_json_text(out, text);
  return out;
}

std::string object_schema(std::span<const WordDef> first, std::span<const WordDef> second,
                          std::string_view type_name);

std::string type_schema(const WordDef& word) {
  switch (word.kind) {
    case WordKind::kInteger:
      return "\"type\":\"integer\"";
    case WordKind::kNumber:
      return "\"type\":\"number\"";
    case WordKind::kFlag:
      return "\"type\":\"boolean\"";
    case WordKind::kDuration:
      return R"("type":["string","integer"],"pattern":"^(0|([0-9.]+(us|ms|s|m|h|d))+)$")";
    case WordKind::kSize:
      return R"("type":["string","integer"],"pattern":"^[0-9.]+[KMGT]?$")";
    case WordKind::kChoice: {
      std::string out = "\"enum\":[";
      for (size_t i = 0; i < word.choices.size(); ++i) {
        out += (i > 0 ? "," : "") + quoted(word.choices[i]);
      }
      return out + "]";
    }
    case WordKind::kTexts:
      return R"("type":["string","array"],"items":{"type":"string"})";
    case WordKind::kMap:
      if (word.words.empty()) return "\"type\":\"object\"";
      return object_schema(word.words, {}, "").substr(1, std::string::npos);
    case WordKind::kList:
      if (word.words.empty()) return R"("type":"array","items":{"type":"object"})";
      return "\"type\":\"array\",\"items\":" + object_schema(word.words, {}, "");
    case WordKind::kText:
    case WordKind::kExpression:
      break;
  }
  return R"("type":["string","number","boolean"])";
}

std::string word_schema(const WordDef& word) {
  std::string type = type_schema(word);
  // A nested object comes without its opening brace and with its closing one.
  const bool is_nested = word.kind == WordKind::kMap && !word.words.empty();
  std::string out = quoted(word.name) + ":{\"description\":" + quoted(word.help);
  if (*word.fallback != '\0') out += ",\"default\":" + quoted(word.fallback);
  out += "," + type;
  return is_nested ? out : out + "}";
}

std::string object_schema(std::span<const WordDef> first, std::span<const WordDef> second,
                          std::string_view type_name) {
  std::string properties;
  std::string required;
  for (const auto& words : {first, second}) {
    for (const WordDef& word : words) {
      if (!properties.empty()) properties += ",";
      if (!type_name.empty() && std::string_view(word.name) == "type") {
        properties += "\"type\":{\"const\":" + quoted(type_name) + "}";
      } else {
        properties += word_schema(word);
      }
      if (word.is_required) required += (required.empty() ? "" : ",") + quoted(word.name);
    }
  }
  return "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[" + required +
         "],\"properties\":{" + properties + "}}";
}

std::string map_of(const std::string& item) {
  return "{\"type\":\"object\",\"propertyNames\":{\"pattern\":\"^[A-Za-z0-9_-]{1,40}$\"},"
         "\"additionalProperties\":" +
         item + "}";
}

template <typename Type>
std::string any_type(std::span<const Type* const> types, std::span<const WordDef> common) {
  std::string out = "{\"oneOf\":[";
  for (size_t i = 0; i < types.size(); ++i) {
    out += (i > 0 ? "," : "") + object_schema(common, types[i]->words, types[i]->name);
  }
  return out + "]}";
}

std::string bytes_text(size_t bytes) {
  if (bytes >= 1 << 20) return str(bytes >> 20, " MB");
  return bytes >= 1024 ? str(bytes >> 10, " kB") : str(bytes, " B");
}

}  // namespace

std::string app_schema() {
  std::string properties;
  std::string required;
  for (const WordDef& word : app_words()) {
    const std::string_view name = word.name;
    if (!properties.empty()) properties += ",";
    if (name == "sources") {
      properties += "\"sources\":" + map_of(any_type(source_types(), source_common_words()));
    } else if (name == "sinks") {
      properties += "\"sinks\":" + map_of(any_type(sink_types(), sink_common_words()));
    } else if (name == "streams") {
      properties += "\"streams\":" + map_of(object_schema(stream_words(), {}, ""));
    } else if (name == "rules") {
      properties += "\"rules\":" + map_of(object_schema(rule_words(), {}, ""));
    } else if (name == "models") {
      properties += "\"models\":" + map_of(object_schema(model_words(), {}, ""));
    } else {
      properties += word_schema(word);
    }
    if (word.is_required) required += (required.empty() ? "" : ",") + quoted(word.name);
  }
  return "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"Edgewise app\","
         "\"type\":\"object\",\"additionalProperties\":false,\"required\":[" +
         required + "],\"properties\":{" + properties + "}}\n";
}

std::string device_schema() {
  return "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"Edgewise "
         "device\"," +
         object_schema(device_words(), {}, "").substr(1) + "\n";
}

Result<std::string> plan_text(const App& app, const ModelLoader& load_model) {
  EW_TRY(const auto ledger, Ledger::open(""));
  std::vector<Error> errors;
  const auto pipeline = Pipeline::build(app, load_model, *ledger, errors);
  if (!errors.empty()) {
    Error all = errors[0];
    for (size_t i = 1; i < errors.size(); ++i) all.message += "\n" + errors[i].message;
    return all;
  }
  std::string out = str("app ", app.name, app.state.empty() ? ", no state folder" : ", state in ",
                        app.state, "\n");
  size_t total = 0;
  for (const SourcePlan& source : app.sources) {
    // A ledger row, a key, and the places that point to them.
    const size_t bytes = source.decode.max_keys * 400;
    out += str("source ", source.name, ": ", source.type->name, ", up to ", source.decode.max_keys,
               " keys, ", bytes_text(bytes), "\n");
    total += bytes;
  }
  for (size_t i = 0; i < app.models.size(); ++i) {
    const ModelRunner& model = *pipeline->models()[i];
    out += str("model ", app.models[i].name, ": ", app.models[i].file, ", ", model.input_size(),
               " values in, ", model.output_size(), " out, on ", model.device(), ", ",
               bytes_text(model.memory_bytes()), "\n");
    if (!model.fallback_reason().empty()) {
      out += str("  asked for ", app.models[i].device, ": ", model.fallback_reason(), "\n");
    }
    total += model.memory_bytes();
  }
  for (const auto& stream : pipeline->streams()) {
    const StreamPlan& plan = stream->plan();
    size_t per_key = plan.cell_count * sizeof(Cell);
    if (plan.has_window) per_key += 2 * plan.aggregates.size() * sizeof(AggregateState);
    if (plan.window.size_count > 0) {
      per_key += static_cast<size_t>(plan.window.size_count) * 8 * (plan.aggregates.size() + 1);
    }
    out += str("stream ", plan.name, ": ", plan.has_window ? "window, " : "",
               plan.model != nullptr ? str("model ", plan.model_name, ", ") : "",
               bytes_text(per_key), " a key\n");
  }
  for (const auto& rule : pipeline->rules()) {
    out += str("rule ", rule->plan().name, ": ", to_string(rule->plan().severity), "\n");
  }
  for (const auto& outbox : pipeline->outboxes()) {
    const OutboxOptions& options = outbox->options();
    out += str("sink ", options.name, ": queue ", bytes_text(options.max_memory_bytes), "\n");
    total += options.max_memory_bytes;
  }
  return out + str("at most ", bytes_text(total), " beside the state of streams\n");
}

}  // namespace ew::agent
