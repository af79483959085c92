#include <charconv>

#include "agent/pipeline.h"

namespace ew::agent {
namespace {

/// Days from 1970-01-01 of a date of the proleptic Gregorian calendar (Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms").
int64_t days_from_civil(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}
  int64_t digits(size_t count) {
    int64_t value = -1;
    if (rest_.size() < count) return fail();
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + count, value);
    if (error != std::errc() || end != rest_.data() + count || value < 0) return fail();
    rest_.remove_prefix(count);
    return value;
  }
  bool take(std::string_view any_of) {
    if (rest_.empty() || any_of.find(rest_[0]) == std::string_view::npos) return false;
    last_ = rest_[0];
    rest_.remove_prefix(1);
    return true;
  }
  /// Decimals of a second in microseconds.
  int64_t fraction() {
    int64_t value = 0;
    int64_t unit = 100'000;
    bool has_any = false;
    while (!rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9') {
      value += unit * (rest_[0] - '0');
      unit /= 10;
      rest_.remove_prefix(1);
      has_any = true;
    }
    return has_any ? value : fail();
  }
  char last() const { return last_; }
  bool is_at_end() const { return rest_.empty(); }
  bool ok() const { return ok_; }
  int64_t fail() {
    ok_ = false;
    return 0;
  }

 private:
  std::string_view rest_;
  char last_ = 0;
  bool ok_ = true;
};

}  // namespace

Result<int64_t> parse_iso_time_us(std::string_view text) {
  Cursor c(text);
  const int64_t year = c.digits(4);
  if (!c.take("-")) c.fail();
  const int64_t month = c.digits(2);
  if (!c.take("-")) c.fail();
  const int64_t day = c.digits(2);
  int64_t us = 0;
  if (c.ok() && c.take("T t")) {
    const int64_t hour = c.digits(2);
    if (!c.take(":")) c.fail();
    const int64_t minute = c.digits(2);
    int64_t second = 0;
    if (c.take(":")) {
      second = c.digits(2);
      if (c.take(".,")) us = c.fraction();
    }
    if (hour > 24 || minute > 59 || second > 60) c.fail();
    us += ((hour * 60 + minute) * 60 + second) * 1'000'000;
    if (!c.take("Zz") && c.take("+-")) {
      const int sign = c.last() == '-' ? 1 : -1;
      const int64_t hours = c.digits(2);
      c.take(":");
      const int64_t minutes = c.is_at_end() ? 0 : c.digits(2);
      us += sign * (hours * 60 + minutes) * 60'000'000;
    }
  }
  if (!c.ok() || !c.is_at_end() || month < 1 || month > 12 || day < 1 || day > 31) {
    return invalid_data("expected a time such as 2026-11-28T23:30:45Z, found '", text, "'");
  }
  return days_from_civil(year, month, day) * 86'400'000'000 + us;
}

}  // namespace ew::agent
