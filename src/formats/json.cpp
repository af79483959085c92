#include "formats/json.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

namespace ew::formats {
namespace {

// nlohmann-json reads no bare NaN and Infinity. They are replaced by spellings of 0 that the text
// does not contain ("0e-111"), which the handler sees as raw text and turns back.
struct Rewritten {
  std::string text;
  std::string nan;       // "" if nothing was replaced
  std::string infinity;  // its '-' stays in the text
  struct Growth {
    size_t position;  // in the new text, behind the replacement
    size_t bytes;     // that all replacements so far added
  };
  std::vector<Growth> growth;

  size_t original_offset(size_t position) const {
    size_t bytes = 0;
    for (const Growth& g : growth) {
      if (g.position > position) break;
      bytes = g.bytes;
    }
    return position - std::min(position, bytes);
  }
};

bool is_delimiter(std::string_view text, size_t i) {
  return i >= text.size() ||
         std::string_view(" \t\r\n,:[]{}").find(text[i]) != std::string_view::npos;
}

size_t longest_digit_run(std::string_view text) {
  size_t longest = 0;
  size_t run = 0;
  for (const char c : text) {
    run = c >= '0' && c <= '9' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  return longest;
}

Rewritten rewrite_non_finite(std::string_view text) {
  Rewritten out;
  const size_t digits = longest_digit_run(text);
  out.nan = "0e-" + std::string(digits + 5, '1');
  out.infinity = "0e-" + std::string(digits + 6, '1');
  bool in_string = false;
  size_t added = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    out.text += c;
    if (in_string) {
      if (c == '\\' && i + 1 < text.size()) out.text += text[++i];
      in_string = c != '"';
      continue;
    }
    in_string = c == '"';
    const std::string_view rest = text.substr(i);
    const std::string_view token = rest.starts_with("NaN")        ? "NaN"
                                   : rest.starts_with("Infinity") ? "Infinity"
                                                                  : "";
    if (token.empty()) continue;
    const size_t begin = token == "Infinity" && i > 0 && text[i - 1] == '-' ? i - 1 : i;
    if (!is_delimiter(text, i + token.size()) || (begin > 0 && !is_delimiter(text, begin - 1))) {
      continue;
    }
    const std::string& spelling = token == "NaN" ? out.nan : out.infinity;
    out.text.pop_back();
    out.text += spelling;
    added += spelling.size() - token.size();
    out.growth.push_back({out.text.size(), added});
    i += token.size() - 1;
  }
  return out;
}

// Of equal keys the first keeps its place and the last its value, as in Python's dict.
void merge_equal_keys(Config::Map& map) {
  std::vector<size_t> order(map.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const int compared = map[a].first.compare(map[b].first);
    return compared != 0 ? compared < 0 : a < b;
  });
  std::vector<bool> dropped(map.size(), false);
  bool any = false;
  for (size_t i = 0; i < order.size();) {
    size_t j = i + 1;
    while (j < order.size() && map[order[j]].first == map[order[i]].first)
      dropped[order[j++]] = true;
    if (j > i + 1) {
      map[order[i]].second = std::move(map[order[j - 1]].second);
      any = true;
    }
    i = j;
  }
  if (!any) return;
  Config::Map kept;
  for (size_t i = 0; i < map.size(); ++i) {
    if (!dropped[i]) kept.push_back(std::move(map[i]));
  }
  map = std::move(kept);
}

// Builds the Config from nlohmann's events. The names are those its SAX interface demands.
class Handler {
 public:
  Handler(const Rewritten& rewritten, const JsonLimits& limits)
      : rewritten_(rewritten), limits_(limits) {}

  bool null() { return add(Config()); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(int64_t value) { return add(value); }
  bool number_unsigned(uint64_t value) {
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return add(static_cast<double>(value));
    }
    return add(static_cast<int64_t>(value));
  }
  bool number_float(double value, const std::string& raw) {
    if (!rewritten_.growth.empty()) {
      const bool negative = raw.starts_with('-');
      const std::string_view digits = std::string_view(raw).substr(negative ? 1 : 0);
      if (digits == rewritten_.nan) value = std::numeric_limits<double>::quiet_NaN();
      if (digits == rewritten_.infinity) {
        value = negative ? -std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::infinity();
      }
    }
    return add(value);
  }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(std::vector<uint8_t>&) { return false; }
  bool start_object(size_t) { return open(Config::map()); }
  bool start_array(size_t) { return open(Config::list()); }
  bool key(std::string& value) {
    stack_.back().mutable_map().emplace_back(std::move(value), Config());
    return true;
  }
  bool end_object() {
    merge_equal_keys(stack_.back().mutable_map());
    return close();
  }
  bool end_array() { return close(); }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception& e) {
    std::string_view reason = e.what();  // "[json.exception.… .101] parse error at …: reason"
    if (const size_t end = reason.find("] "); end != std::string_view::npos) {
      reason.remove_prefix(end + 2);
    }
    if (reason.starts_with("parse error")) {
      if (const size_t end = reason.find(": "); end != std::string_view::npos) {
        reason.remove_prefix(end + 2);
      }
    }
    const size_t offset = rewritten_.original_offset(position > 0 ? position - 1 : 0);
    error_ = invalid_data("JSON, offset ", offset, ": ", reason.substr(0, 160));
    return false;
  }

  Result<Config> result(bool complete) {
    if (complete) return std::move(root_);
    return error_;
  }

 private:
  bool add(Config value) {
    if (++values_ > limits_.max_values) {
      error_ =
          make_error(ErrorCode::kResourceLimit, "JSON: more than ", limits_.max_values, " values");
      return false;
    }
    if (stack_.empty()) {
      root_ = std::move(value);
    } else if (stack_.back().is_map()) {
      stack_.back().mutable_map().back().second = std::move(value);
    } else {
      stack_.back().push_back(std::move(value));
    }
    return true;
  }
  bool open(Config container) {
    if (stack_.size() >= static_cast<size_t>(limits_.max_depth)) {
      error_ = make_error(ErrorCode::kResourceLimit, "JSON: lists and maps nested deeper than ",
                          limits_.max_depth);
      return false;
    }
    stack_.push_back(std::move(container));
    return true;
  }
  bool close() {
    Config done = std::move(stack_.back());
    stack_.pop_back();
    return add(std::move(done));
  }

  const Rewritten& rewritten_;
  const JsonLimits& limits_;
  std::vector<Config> stack_;
  Config root_;
  size_t values_ = 0;
  Error error_ = invalid_data("JSON: not a value");
};

void write_string(std::string& out, const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return c >= ' ' && c < 127 && c != '"' && c != '\\';
  });
  if (plain) {
    out += '"';
    out += text;
    out += '"';
  } else {
    // Bytes that are no UTF-8 become U+FFFD, so that the output is always valid.
    out += nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  }
}

void write_double(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
  } else {
    const std::string digits = str(value);
    out += digits;
    if (digits.find_first_of(".e") == std::string::npos) out += ".0";
  }
}

class Writer {
 public:
  explicit Writer(int indent) : indent_(indent) {}

  void value(const Config& v, int depth) {
    if (v.is_list()) {
      items(v.as_list(), depth, '[', ']', [&](const Config& item) { value(item, depth + 1); });
    } else if (v.is_map()) {
      items(v.as_map(), depth, '{', '}', [&](const auto& entry) {
        write_string(out, entry.first);
        out += ": ";
        value(entry.second, depth + 1);
      });
    } else if (v.is_string()) {
      write_string(out, v.as_string());
    } else if (v.is_double()) {
      write_double(out, v.as_double());
    } else if (v.is_int()) {
      out += str(v.as_int());
    } else {
      out += v.is_null() ? "null" : v.as_bool() ? "true" : "false";
    }
  }

  std::string out;

 private:
  template <typename Items, typename F>
  void items(const Items& all, int depth, char open, char close, F&& write) {
    out += open;
    bool first = true;
    for (const auto& item : all) {
      if (!first) out += indent_ < 0 ? ", " : ",";
      first = false;
      line(depth + 1);
      write(item);
    }
    if (!all.empty()) line(depth);
    out += close;
  }
  void line(int depth) {
    if (indent_ < 0) return;
    out += '\n';
    out.append(static_cast<size_t>(indent_) * static_cast<size_t>(depth), ' ');
  }

  int indent_;
};

}  // namespace

Result<Config> parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return make_error(ErrorCode::kResourceLimit, "JSON: ", text.size(),
                      " bytes, above the limit of ", limits.max_bytes);
  }
  Rewritten rewritten;
  if (text.find("NaN") != std::string_view::npos ||
      text.find("Infinity") != std::string_view::npos) {
    rewritten = rewrite_non_finite(text);
    if (!rewritten.growth.empty()) text = rewritten.text;
  }
  Handler handler(rewritten, limits);
  return handler.result(nlohmann::json::sax_parse(text.begin(), text.end(), &handler));
}

std::string to_json(const Config& value, int indent) {
  Writer writer(indent);
  writer.value(value, 0);
  return std::move(writer.out);
}

}  // namespace ew::formats
