#pragma once
// Config: a plain JSON-like value (null, bool, int, double, string, list, map with its key order).
// The configuration of layers, optimizers, losses and metrics travels between modules as Config;
// only formats/json.cpp knows how it is written as text.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace ew {

class Config {
 public:
  using List = std::vector<Config>;
  using Map = std::vector<std::pair<std::string, Config>>;

  Config() = default;
  Config(bool value) : value_(value) {}                           // NOLINT
  Config(int value) : value_(static_cast<int64_t>(value)) {}      // NOLINT
  Config(int64_t value) : value_(value) {}                        // NOLINT
  Config(double value) : value_(value) {}                         // NOLINT
  Config(const char* value) : value_(std::string(value)) {}       // NOLINT
  Config(std::string_view value) : value_(std::string(value)) {}  // NOLINT
  Config(std::string value) : value_(std::move(value)) {}         // NOLINT
  Config(List value) : value_(std::move(value)) {}                // NOLINT
  Config(Map value) : value_(std::move(value)) {}                 // NOLINT
  static Config list() { return Config(List{}); }
  static Config map() { return Config(Map{}); }
  static Config ints(const std::vector<int64_t>& values);

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_int() const { return std::holds_alternative<int64_t>(value_); }
  bool is_double() const { return std::holds_alternative<double>(value_); }
  bool is_number() const { return is_int() || is_double(); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_list() const { return std::holds_alternative<List>(value_); }
  bool is_map() const { return std::holds_alternative<Map>(value_); }
  /// "null", "bool", "integer", "number", "string", "list" or "map", for messages.
  const char* kind_name() const;

  // Unchecked reads: the fallback is returned if the kind differs.
  bool as_bool(bool fallback = false) const;
  int64_t as_int(int64_t fallback = 0) const;   // also from an integral double
  double as_double(double fallback = 0) const;  // also from an int
  const std::string& as_string() const;         // "" if not a string
  const List& as_list() const;                  // empty if not a list
  const Map& as_map() const;                    // empty if not a map
  List& mutable_list();                         // becomes an empty list if it is none
  Map& mutable_map();                           // becomes an empty map if it is none

  /// The value under `key`, or null if there is none or this is no map.
  const Config* find(std::string_view key) const;
  /// The value under `key`, or a null Config.
  const Config& operator[](std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }
  /// Sets `key`, keeping its place if it is already there.
  void set(std::string_view key, Config value);
  void erase(std::string_view key);
  void push_back(Config value) { mutable_list().push_back(std::move(value)); }

  // Checked reads of a map entry. Missing or null gives `fallback`; a wrong kind is kInvalidData:
  // "strides: expected an integer, found a string".
  Result<bool> get_bool(std::string_view key, bool fallback) const;
  Result<int64_t> get_int(std::string_view key, int64_t fallback) const;
  Result<double> get_double(std::string_view key, double fallback) const;
  Result<std::string> get_string(std::string_view key, std::string_view fallback) const;
  /// A list of integers; a single integer is repeated `repeat` times (Keras' kernel_size=3).
  Result<std::vector<int64_t>> get_ints(std::string_view key, std::vector<int64_t> fallback,
                                        size_t repeat = 1) const;

  bool operator==(const Config&) const = default;

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, List, Map> value_;
};

}  // namespace ew
