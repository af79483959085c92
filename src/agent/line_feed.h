#pragma once
// What the sources that read lines share: pacing, positions, back-pressure.

#include <optional>
#include <string>
#include <string_view>

#include "agent/app.h"
#include "agent/json_scan.h"
#include "agent/source.h"
#include "host/event_loop.h"

namespace ew::agent {

extern const SourceType kFileSource;
extern const SourceType kStdinSource;
extern const SourceType kSyntheticSource;

/// The times of lines, to give them out at their own pace times a factor.
class Pacer {
 public:
  /// `field` is a JSON field or, with `columns`, a CSV column; without either only the interval
  /// counts.
  Pacer(double speed, int64_t interval_us, const std::string& field, double unit_us,
        std::vector<std::string> columns, char separator);

  bool is_paced() const { return speed_ > 0 || interval_us_ > 0; }
  /// How long to wait before this line, on the steady clock that reads `now_us`.
  int64_t delay_us(std::string_view line, int64_t now_us);

 private:
  std::optional<int64_t> time_of(std::string_view line);

  double speed_;
  int64_t interval_us_;
  double unit_us_;
  std::vector<std::string> columns_;
  char separator_;
  FieldTree fields_;
  std::vector<Value> values_;
  std::string scratch_;
  size_t column_ = SIZE_MAX;
  std::optional<int64_t> first_us_;
  int64_t start_us_ = 0;
  int64_t lines_ = 0;
};

/// The pacer that a source's words ask for; `header`: the columns of a CSV file that names them.
Pacer pacer_of(const Settings& settings, std::vector<std::string> header = {});

/// Whether the file is a recording that SignalFile reads, by its suffix.
bool is_signal_file(const std::string& path);

/// The names in the first line of a CSV file, or "time" (seconds since 1970, or from the start) and
/// the channels of a recording; empty for a folder or a file that is not there.
std::vector<std::string> csv_header(const std::string& path, char separator);

/// The value of one CSV column as a view; quotes are taken off.
std::string_view csv_column(std::string_view line, char separator, size_t column);

}  // namespace ew::agent
