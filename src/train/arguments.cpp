#include "train/arguments.h"

#include <cmath>

namespace ew::train {

double ArgumentReader::real(std::string_view key) {
  const auto value = arguments_.get_double(key, 0);
  if (!value.ok()) {
    if (status_.ok()) status_ = value.error();
    return 0;
  }
  if (!std::isfinite(*value) && status_.ok()) status_ = invalid_argument(key, " is not finite");
  return *value;
}

int64_t ArgumentReader::integer(std::string_view key) {
  const auto value = arguments_.get_int(key, 0);
  if (!value.ok() && status_.ok()) status_ = value.error();
  return value.ok() ? *value : 0;
}

std::string ArgumentReader::word(std::string_view key) {
  const auto value = arguments_.get_string(key, "");
  if (!value.ok() && status_.ok()) status_ = value.error();
  return value.ok() ? *value : std::string();
}

bool ArgumentReader::flag(std::string_view key) {
  const auto value = arguments_.get_bool(key, false);
  if (!value.ok() && status_.ok()) status_ = value.error();
  return value.ok() && *value;
}

void ArgumentReader::check_range(std::string_view key, double lowest, double highest) {
  const double value = real(key);
  if (status_.ok() && !(value >= lowest && value <= highest)) {
    status_ = invalid_argument(key, " must be in [", lowest, ", ", highest, "], found ", value);
  }
}

}  // namespace ew::train
