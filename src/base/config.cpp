#include "base/config.h"

#include <algorithm>
#include <cmath>

namespace ew {
namespace {

const Config kNull;
const std::string kEmptyString;
const Config::List kEmptyList;
const Config::Map kEmptyMap;

Error wrong_kind(std::string_view key, const char* expected, const Config& found) {
  return invalid_data(key, ": expected ", expected, ", found ", found.kind_name());
}

bool is_integral(double value) {
  return std::nearbyint(value) == value && std::abs(value) < 9.0e15;
}

}  // namespace

Config Config::ints(const std::vector<int64_t>& values) {
  List list;
  list.reserve(values.size());
  for (const int64_t v : values) list.emplace_back(v);
  return list;
}

const char* Config::kind_name() const {
  constexpr const char* kNames[] = {"null", "bool", "integer", "number", "string", "list", "map"};
  return kNames[value_.index()];
}

bool Config::as_bool(bool fallback) const { return is_bool() ? std::get<bool>(value_) : fallback; }

int64_t Config::as_int(int64_t fallback) const {
  if (is_int()) return std::get<int64_t>(value_);
  if (is_double() && is_integral(std::get<double>(value_))) {
    return static_cast<int64_t>(std::get<double>(value_));
  }
  return fallback;
}

double Config::as_double(double fallback) const {
  if (is_double()) return std::get<double>(value_);
  return is_int() ? static_cast<double>(std::get<int64_t>(value_)) : fallback;
}

const std::string& Config::as_string() const {
  return is_string() ? std::get<std::string>(value_) : kEmptyString;
}
const Config::List& Config::as_list() const {
  return is_list() ? std::get<List>(value_) : kEmptyList;
}
const Config::Map& Config::as_map() const { return is_map() ? std::get<Map>(value_) : kEmptyMap; }

Config::List& Config::mutable_list() {
  if (!is_list()) value_ = List{};
  return std::get<List>(value_);
}
Config::Map& Config::mutable_map() {
  if (!is_map()) value_ = Map{};
  return std::get<Map>(value_);
}

const Config* Config::find(std::string_view key) const {
  for (const auto& [name, value] : as_map()) {
    if (name == key) return &value;
  }
  return nullptr;
}

const Config& Config::operator[](std::string_view key) const {
  const Config* found = find(key);
  return found ? *found : kNull;
}

void Config::set(std::string_view key, Config value) {
  Map& map = mutable_map();
  for (auto& [name, old] : map) {
    if (name == key) {
      old = std::move(value);
      return;
    }
  }
  map.emplace_back(std::string(key), std::move(value));
}

void Config::erase(std::string_view key) {
  if (is_map()) std::erase_if(mutable_map(), [&](const auto& entry) { return entry.first == key; });
}

Result<bool> Config::get_bool(std::string_view key, bool fallback) const {
  const Config& v = (*this)[key];
  if (v.is_null()) return fallback;
  if (v.is_bool()) return v.as_bool();
  if (v.is_int()) return v.as_int() != 0;
  return wrong_kind(key, "a bool", v);
}

Result<int64_t> Config::get_int(std::string_view key, int64_t fallback) const {
  const Config& v = (*this)[key];
  if (v.is_null()) return fallback;
  if (v.is_int() || (v.is_double() && is_integral(v.as_double()))) return v.as_int();
  return wrong_kind(key, "an integer", v);
}

Result<double> Config::get_double(std::string_view key, double fallback) const {
  const Config& v = (*this)[key];
  if (v.is_null()) return fallback;
  if (v.is_number()) return v.as_double();
  return wrong_kind(key, "a number", v);
}

Result<std::string> Config::get_string(std::string_view key, std::string_view fallback) const {
  const Config& v = (*this)[key];
  if (v.is_null()) return std::string(fallback);
  if (v.is_string()) return v.as_string();
  return wrong_kind(key, "a string", v);
}

Result<std::vector<int64_t>> Config::get_ints(std::string_view key, std::vector<int64_t> fallback,
                                              size_t repeat) const {
  const Config& v = (*this)[key];
  if (v.is_null()) return fallback;
  if (v.is_int()) return std::vector<int64_t>(repeat, v.as_int());
  if (!v.is_list()) return wrong_kind(key, "an integer or a list of integers", v);
  std::vector<int64_t> out;
  for (const Config& item : v.as_list()) {
    if (!item.is_number()) return wrong_kind(key, "a list of integers", item);
    out.push_back(item.as_int());
  }
  return out;
}

}  // namespace ew
