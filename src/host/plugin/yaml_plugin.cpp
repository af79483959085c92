// libedgewise_yaml.so
#include "host/plugin/yaml_plugin.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <cstring>
#include <exception>
#include <istream>
#include <streambuf>
#include <string>

namespace ew::host {
namespace {

/// Ends yaml-cpp's parse when the receiver has had enough.
struct Stopped : std::exception {};

using OnEvent = bool (*)(void*, YamlEvent, const char*, size_t, const char*, uint64_t, int, int);

class Forwarder : public YAML::EventHandler {
 public:
  Forwarder(void* context, OnEvent on_event) : context_(context), on_event_(on_event) {}

  void OnDocumentStart(const YAML::Mark& mark) override { send(YamlEvent::kDocument, mark); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    send(YamlEvent::kNull, mark, {}, {}, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    send(YamlEvent::kAlias, mark, {}, {}, anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    send(YamlEvent::kScalar, mark, value, tag, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    send(YamlEvent::kListStart, mark, {}, tag, anchor);
  }
  void OnSequenceEnd() override { send(YamlEvent::kListEnd, YAML::Mark()); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    send(YamlEvent::kMapStart, mark, {}, tag, anchor);
  }
  void OnMapEnd() override { send(YamlEvent::kMapEnd, YAML::Mark()); }

 private:
  void send(YamlEvent event, const YAML::Mark& mark, const std::string& value = {},
            const std::string& tag = {}, YAML::anchor_t anchor = 0) {
    if (!on_event_(context_, event, value.data(), value.size(), tag.c_str(), anchor, mark.line,
                   mark.column)) {
      throw Stopped();
    }
  }

  void* context_;
  OnEvent on_event_;
};

/// A stream over memory that copies nothing.
class MemoryStream : private std::streambuf, public std::istream {
 public:
  MemoryStream(const char* text, size_t size) : std::istream(static_cast<std::streambuf*>(this)) {
    char* begin = const_cast<char*>(text);  // NOLINT: streambuf's get area is not written
    setg(begin, begin, begin + size);
  }
};

bool parse(const char* text, size_t size, void* context, OnEvent on_event, char* error,
           size_t error_size, int* error_line, int* error_column) {
  const auto fail = [&](const std::string& message, int line, int column) {
    const size_t length = std::min(message.size(), error_size - 1);
    std::memcpy(error, message.data(), length);
    error[length] = '\0';
    *error_line = line;
    *error_column = column;
    return false;
  };
  try {
    MemoryStream stream(text, size);
    YAML::Parser parser(stream);
    Forwarder forwarder(context, on_event);
    while (parser.HandleNextDocument(forwarder)) {
    }
    return true;
  } catch (const Stopped&) {
    return true;
  } catch (const YAML::Exception& e) {
    return fail(e.msg, e.mark.line, e.mark.column);
  } catch (const std::exception& e) {
    return fail(e.what(), 0, 0);
  }
}

}  // namespace
}  // namespace ew::host

extern "C" __attribute__((visibility("default"))) const ew::host::YamlPlugin edgewise_yaml_plugin;
const ew::host::YamlPlugin edgewise_yaml_plugin{ew::host::kYamlPluginVersion, &ew::host::parse};
