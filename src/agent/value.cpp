#include "agent/value.h"

#include <charconv>

namespace ew::agent {

void append_json_number(std::string& out, double value) {
  char buffer[40];
  std::to_chars_result end{};
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  // Below 2^53 every integral double is exact, so it may be written as an integer.
  if (value == std::floor(value) && std::abs(value) < 9007199254740992.0) {
    end = std::to_chars(buffer, buffer + sizeof buffer, static_cast<int64_t>(value));
  } else {
    end = std::to_chars(buffer, buffer + sizeof buffer, value);
  }
  out.append(buffer, end.ptr);
}

void append_json_text(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_json(std::string& out, const Value& value) {
  switch (value.kind) {
    case Value::Kind::kMissing:
      out += "null";
      break;
    case Value::Kind::kNumber:
      append_json_number(out, value.number);
      break;
    case Value::Kind::kFlag:
      out += value.number != 0 ? "true" : "false";
      break;
    case Value::Kind::kText:
      append_json_text(out, value.text);
      break;
  }
}

}  // namespace ew::agent
