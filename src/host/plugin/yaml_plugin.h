#pragma once
// What libedgewise_yaml.so offers: yaml-cpp's event stream as calls.

#include <cstddef>
#include <cstdint>

namespace ew::host {

constexpr uint32_t kYamlPluginVersion = 1;
constexpr const char* kYamlPluginSymbol = "edgewise_yaml_plugin";

enum class YamlEvent : uint8_t {
  kDocument,
  kNull,
  kAlias,
  kScalar,
  kListStart,
  kListEnd,
  kMapStart,
  kMapEnd
};

struct YamlPlugin {
  uint32_t version;
  /// Calls on_event for each event until it returns false. Lines and columns count from 0; `tag` is
  /// "!" for quoted scalars, "?" for plain ones, else what the file says. Returns true at the end
  /// of the text; false after a syntax error, whose message is in `error` (ended by zero).
  bool (*parse)(const char* text, size_t size, void* context,
                bool (*on_event)(void* context, YamlEvent event, const char* value,
                                 size_t value_size, const char* tag, uint64_t anchor, int line,
                                 int column),
                char* error, size_t error_size, int* error_line, int* error_column);
};

}  // namespace ew::host
