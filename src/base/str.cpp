#include "base/str.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <limits>

namespace ew {
namespace str_detail {
namespace {

#ifdef EW_SMALL
// The fewest digits that read back as the same number, without the 120 kB of tables that
// <charconv> needs for them.
template <std::floating_point T>
void append_chars(std::string& out, T value) {
  char buffer[40];
  for (int digits = 1; digits <= std::numeric_limits<T>::max_digits10; ++digits) {
    std::snprintf(buffer, sizeof(buffer), "%.*g", digits, static_cast<double>(value));
    if (static_cast<T>(std::strtod(buffer, nullptr)) == value) break;
  }
  out.append(buffer);
}

template <std::integral T>
#else
template <typename T>
#endif
void append_chars(std::string& out, T value) {
  char buffer[40];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  out.append(buffer, result.ptr);
}

}  // namespace

void append(std::string& out, std::string_view text) { out.append(text); }
void append(std::string& out, bool value) { out.append(value ? "true" : "false"); }
void append(std::string& out, char value) { out.push_back(value); }
void append(std::string& out, long long value) { append_chars(out, value); }
void append(std::string& out, unsigned long long value) { append_chars(out, value); }
void append(std::string& out, double value) { append_chars(out, value); }
void append(std::string& out, float value) { append_chars(out, value); }

}  // namespace str_detail

std::string join(std::span<const std::string> parts, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += separator;
    out += parts[i];
  }
  return out;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> out;
  while (true) {
    const size_t end = text.find(separator);
    out.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

std::string nearest_word(std::string_view word, std::span<const std::string> candidates) {
  std::string best;
  size_t best_distance = std::max<size_t>(1, word.size() / 3) + 1;
  std::vector<size_t> rows[3];  // of the distance table: this one, the one before, the one before
  for (const std::string& candidate : candidates) {
    for (auto& row : rows) row.assign(candidate.size() + 1, 0);
    for (size_t j = 0; j <= candidate.size(); ++j) rows[0][j] = j;
    for (size_t i = 1; i <= word.size(); ++i) {
      std::swap(rows[1], rows[2]);
      std::swap(rows[0], rows[1]);
      rows[0][0] = i;
      for (size_t j = 1; j <= candidate.size(); ++j) {
        const size_t change = rows[1][j - 1] + (word[i - 1] == candidate[j - 1] ? 0 : 1);
        rows[0][j] = std::min({rows[1][j] + 1, rows[0][j - 1] + 1, change});
        // Two letters in the wrong order are one slip.
        if (i > 1 && j > 1 && word[i - 1] == candidate[j - 2] && word[i - 2] == candidate[j - 1]) {
          rows[0][j] = std::min(rows[0][j], rows[2][j - 2] + 1);
        }
      }
    }
    if (rows[0].back() < best_distance) {
      best_distance = rows[0].back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace ew
