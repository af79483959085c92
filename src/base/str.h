#pragma once
// ew::str(a, b, ...) joins values into one string (gcc 12 has no <format>).

#include <concepts>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ew {
namespace str_detail {

void append(std::string& out, std::string_view text);
void append(std::string& out, bool value);
void append(std::string& out, char value);
void append(std::string& out, long long value);
void append(std::string& out, unsigned long long value);
/// Shortest text that reads back as the same double.
void append(std::string& out, double value);
/// Shortest text that reads back as the same float.
void append(std::string& out, float value);

template <typename T>
void append_any(std::string& out, const T& value) {
  if constexpr (std::same_as<T, bool> || std::same_as<T, char> || std::same_as<T, float> ||
                std::same_as<T, double>) {
    append(out, value);
  } else if constexpr (std::signed_integral<T>) {
    append(out, static_cast<long long>(value));
  } else if constexpr (std::unsigned_integral<T>) {
    append(out, static_cast<unsigned long long>(value));
  } else if constexpr (std::convertible_to<T, std::string_view>) {
    append(out, std::string_view(value));
  } else if constexpr (requires { to_string(value); }) {
    append(out, std::string_view(to_string(value)));
  } else {
    append(out, '[');
    bool first = true;
    for (const auto& item : value) {
      if (!first) append(out, std::string_view(", "));
      first = false;
      append_any(out, item);
    }
    append(out, ']');
  }
}

}  // namespace str_detail

/// Text of all parts in a row: strings, numbers, bool, ranges as "[a, b]", types with to_string().
template <typename... Parts>
std::string str(const Parts&... parts) {
  std::string out;
  (str_detail::append_any(out, parts), ...);
  return out;
}

/// `parts` joined by `separator`.
std::string join(std::span<const std::string> parts, std::string_view separator);

/// `text` cut at every `separator`; always at least one piece.
std::vector<std::string> split(std::string_view text, char separator);

/// The candidate nearest to `word` by edit distance, or "" if none is near (a typo, not a guess).
std::string nearest_word(std::string_view word, std::span<const std::string> candidates);

}  // namespace ew
