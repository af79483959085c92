#pragma once
// What a running app tells its operator, in parts, so that it reads as text and as JSON.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace ew::agent {

enum class LogLevel {
  kInfo,
  kWarning,  ///< it goes on, but something is missing: a link that is down
  kError,    ///< something is lost, or stays as it was
};

/// Views hold during the call.
struct LogLine {
  LogLevel level = LogLevel::kInfo;
  std::string_view part;  ///< "source", "sink", "journal", ...
  std::string_view name;  ///< of the source, sink or model; may be empty
  std::string_view message;

  /// "source in: connected"
  std::string text() const;
  /// One object: time (ISO 8601, UTC), level, part, name where there is one, message.
  std::string json(int64_t time_us) const;
};

using LogTo = std::function<void(const LogLine& line)>;
inline void read_by_nobody(const LogLine& /*line*/) {}

}  // namespace ew::agent
