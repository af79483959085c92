#include "agent/json_scan.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/utf8.h"

namespace ew::agent {

size_t FieldTree::want(std::string_view path) {
  for (size_t i = 0; i < paths_.size(); ++i) {
    if (paths_[i] == path) return i;
  }
  size_t at = 0;
  std::string_view rest = path;
  while (true) {
    const size_t dot = rest.find('.');
    const std::string_view name = rest.substr(0, dot);
    size_t next = 0;
    for (const size_t child : nodes_[at].children) {
      if (nodes_[child].name == name) next = child;
    }
    if (next == 0) {
      next = nodes_.size();
      nodes_.push_back({std::string(name), -1, {}});
      nodes_[at].children.push_back(next);
    }
    at = next;
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  nodes_[at].slot = static_cast<int>(paths_.size());
  paths_.emplace_back(path);
  return paths_.size() - 1;
}

namespace {

constexpr int kMaxDepth = 64;

bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 63));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 63));
    out += static_cast<char>(0x80 | (code & 63));
  } else {
    out += static_cast<char>(0xf0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 63));
    out += static_cast<char>(0x80 | ((code >> 6) & 63));
    out += static_cast<char>(0x80 | (code & 63));
  }
}

class Scanner {
 public:
  Scanner(std::string_view text, const FieldTree& fields, std::span<Value> values,
          std::string& scratch)
      : at_(text.data()),
        begin_(text.data()),
        end_(text.data() + text.size()),
        fields_(fields),
        values_(values),
        scratch_(scratch) {}

  JsonScan run() {
    scratch_.clear();
    for (Value& value : values_) value = {};
    blanks();
    if (at_ == end_ || *at_ != '{') {
      fail(JsonFault::kSyntax);
    } else if (object(&fields_.node(0), 1)) {
      blanks();
      if (at_ != end_) fail(JsonFault::kSyntax);
    }
    if (fault_ == JsonFault::kNone) {
      at_ = begin_ + find_malformed_utf8(std::string_view(begin_, end_));
      if (at_ != end_) fail(JsonFault::kSyntax);
    }
    return {fault_, static_cast<size_t>(at_ - begin_)};
  }

 private:
  bool fail(JsonFault fault) {
    if (fault_ == JsonFault::kNone) fault_ = fault;
    return false;
  }
  bool syntax() { return fail(JsonFault::kSyntax); }
  void blanks() {
    while (at_ != end_ && is_blank(*at_)) ++at_;
  }
  bool take(char c) {
    blanks();
    if (at_ == end_ || *at_ != c) return syntax();
    ++at_;
    return true;
  }

  /// `node` is the place in the tree of wanted fields, or null where nothing is wanted.
  bool object(const FieldTree::Node* node, int depth) {
    if (depth > kMaxDepth) return fail(JsonFault::kTooDeep);
    ++at_;
    blanks();
    if (at_ != end_ && *at_ == '}') {
      ++at_;
      return true;
    }
    uint64_t seen = 0;  // children of `node`, the first 64 of them
    while (true) {
      blanks();
      std::string_view name;
      if (!string(name) || !take(':')) return false;
      const FieldTree::Node* child = nullptr;
      if (node != nullptr) {
        for (size_t i = 0; i < node->children.size(); ++i) {
          const FieldTree::Node& candidate = fields_.node(node->children[i]);
          if (candidate.name != name) continue;
          const uint64_t bit = uint64_t{1} << (i & 63);
          if (i < 64 && (seen & bit) != 0) return fail(JsonFault::kDuplicate);
          seen |= bit;
          child = &candidate;
        }
      }
      blanks();
      if (!value(child, depth)) return false;
      blanks();
      if (at_ == end_) return syntax();
      if (*at_ == '}') {
        ++at_;
        return true;
      }
      if (*at_++ != ',') {
        --at_;
        return syntax();
      }
    }
  }

  bool list(int depth) {
    if (depth > kMaxDepth) return fail(JsonFault::kTooDeep);
    ++at_;
    blanks();
    if (at_ != end_ && *at_ == ']') {
      ++at_;
      return true;
    }
    while (true) {
      blanks();
      if (!value(nullptr, depth)) return false;
      blanks();
      if (at_ == end_) return syntax();
      if (*at_ == ']') {
        ++at_;
        return true;
      }
      if (*at_++ != ',') {
        --at_;
        return syntax();
      }
    }
  }

  bool value(const FieldTree::Node* node, int depth) {
    if (at_ == end_) return syntax();
    Value* slot =
        node != nullptr && node->slot >= 0 ? &values_[static_cast<size_t>(node->slot)] : nullptr;
    switch (*at_) {
      case '{':
        return object(node != nullptr && !node->children.empty() ? node : nullptr, depth + 1);
      case '[':
        return list(depth + 1);
      case '"': {
        std::string_view text;
        if (!string(text)) return false;
        if (slot != nullptr) *slot = Value::of_text(text);
        return true;
      }
      case 't':
        return word("true", slot, Value::of_flag(true));
      case 'f':
        return word("false", slot, Value::of_flag(false));
      case 'n':
        return word("null", slot, {});
      case 'N':
        return word("NaN", slot, Value::of(std::numeric_limits<double>::quiet_NaN()));
      case 'I':
        return word("Infinity", slot, Value::of(std::numeric_limits<double>::infinity()));
      default:
        return number(slot);
    }
  }

  bool word(std::string_view expected, Value* slot, const Value& result) {
    if (static_cast<size_t>(end_ - at_) < expected.size() ||
        std::string_view(at_, expected.size()) != expected) {
      return syntax();
    }
    at_ += expected.size();
    if (slot != nullptr) *slot = result;
    return true;
  }

  /// A number of up to 19 digits is exact if its digits fit 2^53 and its power of ten 10^22
  /// (Clinger 1990); the rest goes to from_chars.
  bool number(Value* slot) {
    const char* start = at_;
    const bool is_negative = *at_ == '-';
    if (is_negative) ++at_;
    if (at_ != end_ && *at_ == 'I' && is_negative) {
      return word("Infinity", slot, Value::of(-std::numeric_limits<double>::infinity()));
    }
    if (at_ == end_ || !is_digit(*at_)) return syntax();
    uint64_t digits = 0;
    int count = 0;
    int power = 0;
    const bool has_leading_zero = *at_ == '0';
    for (; at_ != end_ && is_digit(*at_); ++at_, ++count) {
      digits = digits * 10 + static_cast<uint64_t>(*at_ - '0');
    }
    if (has_leading_zero && count > 1) return syntax();
    if (at_ != end_ && *at_ == '.') {
      ++at_;
      const char* fraction = at_;
      for (; at_ != end_ && is_digit(*at_); ++at_, ++count) {
        digits = digits * 10 + static_cast<uint64_t>(*at_ - '0');
      }
      if (at_ == fraction) return syntax();
      power = static_cast<int>(fraction - at_);
    }
    bool has_exponent = false;
    if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
      has_exponent = true;
      ++at_;
      if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
      const char* exponent = at_;
      while (at_ != end_ && is_digit(*at_)) ++at_;
      if (at_ == exponent) return syntax();
    }
    if (slot == nullptr) return true;
    constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double result = 0;
    if (!has_exponent && count <= 19 && digits < (uint64_t{1} << 53) && power >= -22) {
      result = static_cast<double>(digits) / kPowers[-power];
      if (is_negative) result = -result;
    } else {
      // Out of range: from_chars leaves 0; "1e999" is infinite as everywhere else.
      const auto [end, error] = std::from_chars(start, at_, result);
      if (error == std::errc::result_out_of_range) {
        result = std::string_view(start, static_cast<size_t>(at_ - start)).find("e-") ==
                             std::string_view::npos &&
                         std::string_view(start, static_cast<size_t>(at_ - start)).find("E-") ==
                             std::string_view::npos
                     ? std::numeric_limits<double>::infinity()
                     : 0.0;
        if (is_negative) result = -result;
      }
    }
    *slot = Value::of(result);
    return true;
  }

  bool string(std::string_view& out) {
    if (at_ == end_ || *at_ != '"') return syntax();
    const char* start = ++at_;
    while (at_ != end_ && *at_ != '"' && *at_ != '\\' && static_cast<unsigned char>(*at_) >= 0x20) {
      ++at_;
    }
    if (at_ == end_ || static_cast<unsigned char>(*at_) < 0x20) return syntax();
    if (*at_ == '"') {
      out = {start, static_cast<size_t>(at_ - start)};
      ++at_;
      return true;
    }
    return escaped_string(start, out);
  }

  bool escaped_string(const char* start, std::string_view& out) {
    // An escape is never shorter than what it stands for, so this never moves later.
    scratch_.reserve(static_cast<size_t>(end_ - begin_));
    const size_t from = scratch_.size();
    scratch_.append(start, at_);
    while (at_ != end_ && *at_ != '"') {
      if (static_cast<unsigned char>(*at_) < 0x20) return syntax();
      if (*at_ != '\\') {
        scratch_ += *at_++;
        continue;
      }
      if (++at_ == end_) return syntax();
      if (!escape()) return false;
    }
    if (at_ == end_) return syntax();
    ++at_;
    out = std::string_view(scratch_).substr(from);
    return true;
  }

  bool escape() {
    constexpr std::string_view kFrom = "\"\\/bfnrt";
    constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
    const size_t simple = kFrom.find(*at_);
    if (simple != std::string_view::npos) {
      scratch_ += kTo[simple];
      ++at_;
      return true;
    }
    uint32_t code = 0;
    if (*at_ != 'u' || !hex4(code)) return syntax();
    if (code >= 0xd800 && code < 0xdc00 && end_ - at_ >= 6 && at_[0] == '\\' && at_[1] == 'u') {
      const char* back = at_;
      uint32_t low = 0;
      ++at_;
      if (!hex4(low)) return syntax();
      if (low >= 0xdc00 && low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      } else {
        at_ = back;
      }
    }
    // A half of a pair alone has no UTF-8 form.
    append_utf8(scratch_, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
    return true;
  }

  /// Four digits behind the 'u' at at_.
  bool hex4(uint32_t& code) {
    if (end_ - at_ < 5) return false;
    code = 0;
    for (int i = 1; i <= 4; ++i) {
      const int digit = hex_digit(at_[i]);
      if (digit < 0) return false;
      code = code * 16 + static_cast<uint32_t>(digit);
    }
    at_ += 5;
    return true;
  }

  const char* at_;
  const char* begin_;
  const char* end_;
  const FieldTree& fields_;
  std::span<Value> values_;
  std::string& scratch_;
  JsonFault fault_ = JsonFault::kNone;
};

}  // namespace

JsonScan scan_json(std::string_view text, const FieldTree& fields, std::span<Value> values,
                   std::string& scratch) {
  return Scanner(text, fields, values, scratch).run();
}

size_t skip_json_blanks(std::string_view text, size_t offset) {
  while (offset < text.size() && is_blank(text[offset])) ++offset;
  return offset;
}

size_t skip_json_value(std::string_view text, size_t offset) {
  int depth = 0;
  size_t at = skip_json_blanks(text, offset);
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\') ++at;
      }
      ++at;
      if (depth == 0) return std::min(at, text.size());
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') {
      if (depth == 0) return at;
      if (--depth == 0) return at + 1;
    }
    if (depth == 0 && (c == ',' || c == ':' || is_blank(c))) return at;
    ++at;
  }
  return std::min(at, text.size());
}

}  // namespace ew::agent
