#include "agent/log_line.h"

#include <cstdio>
#include <ctime>

#include "agent/value.h"
#include "base/str.h"

namespace ew::agent {
namespace {

constexpr const char* kLevels[] = {"info", "warning", "error"};

std::string iso_time(int64_t time_us) {
  const auto seconds = static_cast<std::time_t>(time_us / 1'000'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  const size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + size, sizeof text - size, ".%06dZ", static_cast<int>(time_us % 1'000'000));
  return text;
}

}  // namespace

std::string LogLine::text() const {
  return str(part, name.empty() ? "" : " ", name, ": ", message);
}

std::string LogLine::json(int64_t time_us) const {
  std::string out = str("{\"time\":\"", iso_time(time_us), "\",\"level\":\"",
                        kLevels[static_cast<size_t>(level)], "\",\"part\":");
  append_json_text(out, part);
  if (!name.empty()) {
    out += ",\"name\":";
    append_json_text(out, name);
  }
  out += ",\"message\":";
  append_json_text(out, message);
  return out + "}";
}

}  // namespace ew::agent
