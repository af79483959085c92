#pragma once
// Values of fields while a record is processed.

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

namespace ew::agent {

/// A field's value. Texts are views into the record or into the state that made them. JSON's null
/// is missing; integers beyond 2^53 are rounded to double, as JavaScript does.
struct Value {
  enum class Kind : uint8_t { kMissing, kNumber, kFlag, kText };

  Kind kind = Kind::kMissing;
  double number = 0;  ///< of a flag 0 or 1
  std::string_view text;

  static Value of(double value) { return {Kind::kNumber, value, {}}; }
  static Value of_flag(bool value) { return {Kind::kFlag, value ? 1.0 : 0.0, {}}; }
  static Value of_text(std::string_view value) { return {Kind::kText, 0, value}; }
  static Value undefined() { return {}; }

  bool is_missing() const { return kind == Kind::kMissing; }
  bool is_text() const { return kind == Kind::kText; }
  /// Missing, or a number that is none.
  bool is_undefined() const {
    return kind == Kind::kMissing || (kind == Kind::kNumber && std::isnan(number));
  }
  /// Number or flag as a number; NaN for the others.
  double as_number() const;
};

inline double Value::as_number() const {
  return kind == Kind::kNumber || kind == Kind::kFlag ? number : std::nan("");
}

/// Appends the value as JSON: integral numbers without a point, others as the shortest text that
/// reads back, missing and not finite numbers as null.
void append_json(std::string& out, const Value& value);
void append_json_number(std::string& out, double value);
/// Appends a JSON string with quotes and escapes. Bytes that are not UTF-8 stay as they are.
void append_json_text(std::string& out, std::string_view text);

}  // namespace ew::agent
