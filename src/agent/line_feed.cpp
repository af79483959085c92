#include "agent/line_feed.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "agent/pipeline.h"
#include "agent/signal_file.h"

namespace ew::agent {
namespace {

// The beginning of a regular file; "" if there is none.
std::string first_bytes(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return "";
  std::string text(65536, '\0');
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return "";
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

}  // namespace

bool is_signal_file(const std::string& path) {
  return path.ends_with(".hea") || path.ends_with(".wav");
}

std::vector<std::string> csv_header(const std::string& path, char separator) {
  if (is_signal_file(path)) {
    const auto signals = SignalFile::open(path);
    if (!signals.ok()) return {};
    std::vector<std::string> names{"time"};
    names.insert(names.end(), (*signals)->channels().begin(), (*signals)->channels().end());
    return names;
  }
  const std::string text = first_bytes(path);
  std::string_view line = std::string_view(text).substr(0, text.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) return {};
  std::vector<std::string> names = split(line, separator);
  for (std::string& name : names) {
    if (name.size() >= 2 && name.front() == '"' && name.back() == '"') {
      name = name.substr(1, name.size() - 2);
    }
  }
  return names;
}

std::string_view csv_column(std::string_view line, char separator, size_t column) {
  size_t at = 0;
  while (true) {
    size_t end = std::string_view::npos;
    bool is_quoted = at < line.size() && line[at] == '"';
    if (is_quoted) {
      const size_t close = std::min(line.find('"', at + 1), line.size());
      end = line.find(separator, close);
    } else {
      end = line.find(separator, at);
    }
    const std::string_view cell = line.substr(at, std::min(end, line.size()) - at);
    if (column-- == 0) {
      return is_quoted && cell.size() >= 2 ? cell.substr(1, cell.size() - 2) : cell;
    }
    if (end == std::string_view::npos) return {};
    at = end + 1;
  }
}

Pacer::Pacer(double speed, int64_t interval_us, const std::string& field, double unit_us,
             std::vector<std::string> columns, char separator)
    : speed_(speed),
      interval_us_(interval_us),
      unit_us_(unit_us),
      columns_(std::move(columns)),
      separator_(separator) {
  if (field.empty()) {
    speed_ = 0;
    return;
  }
  if (columns_.empty()) {
    fields_.want(field);
  } else {
    column_ = static_cast<size_t>(std::ranges::find(columns_, field) - columns_.begin());
  }
  values_.resize(fields_.slot_count());
}

std::optional<int64_t> Pacer::time_of(std::string_view line) {
  std::string_view text;
  double number = 0;
  if (columns_.empty()) {
    if (scan_json(line, fields_, values_, scratch_).fault != JsonFault::kNone) return std::nullopt;
    if (!values_[0].is_text()) {
      if (values_[0].is_undefined()) return std::nullopt;
      return static_cast<int64_t>(values_[0].number * unit_us_);
    }
    text = values_[0].text;
  } else {
    text = csv_column(line, separator_, column_);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) {
      return static_cast<int64_t>(number * unit_us_);
    }
  }
  const Result<int64_t> parsed = parse_iso_time_us(text);
  if (!parsed.ok()) return std::nullopt;
  return *parsed;
}

int64_t Pacer::delay_us(std::string_view line, int64_t now_us) {
  if (lines_ == 0) start_us_ = now_us;
  int64_t due = start_us_ + lines_ * interval_us_;
  ++lines_;
  if (speed_ > 0) {
    const std::optional<int64_t> time = time_of(line);
    if (!time) return 0;
    if (!first_us_) first_us_ = *time;
    due = start_us_ + static_cast<int64_t>(static_cast<double>(*time - *first_us_) / speed_);
  }
  return std::max<int64_t>(0, due - now_us);
}

Pacer pacer_of(const Settings& s, std::vector<std::string> header) {
  const std::string unit = s.text("time_unit");
  const double unit_us = unit == "ms" ? 1e3 : unit == "us" ? 1.0 : unit == "ns" ? 1e-3 : 1e6;
  const std::string separator = s.text("separator");
  if (s.text("format") == "csv" && s.has("columns")) header = s.texts("columns");
  return {s.number("speed"), s.duration_us("interval"), s.text("time"),
          unit_us,           std::move(header),         separator.empty() ? ',' : separator[0]};
}

}  // namespace ew::agent
