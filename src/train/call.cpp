#include "train/call.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string>
#include <vector>

#include "train/call_table.h"
#include "train/keras_object.h"

namespace ew::train {
namespace {

constexpr int kMaxDepth = 16;

bool is_word_start(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool is_word(char c) { return is_word_start(c) || std::isdigit(static_cast<unsigned char>(c)); }

/// The arguments of one call, checked against the class's parameters.
class Arguments {
 public:
  explicit Arguments(const CallSignature& signature)
      : class_name_(signature.class_name),
        parameters_(signature.parameters.empty() ? std::vector<std::string>{}
                                                 : split(signature.parameters, ' ')) {}

  Status add_positional(Config value) {
    if (has_keywords_) {
      return invalid_argument(class_name_, ": a positional argument follows a keyword argument");
    }
    if (count_ == parameters_.size()) {
      return invalid_argument(class_name_, ": takes at most ", parameters_.size(), " arguments");
    }
    config_.set(parameters_[count_++], std::move(value));
    return {};
  }

  Status add_keyword(const std::string& key, Config value) {
    has_keywords_ = true;
    if (std::find(parameters_.begin(), parameters_.end(), key) == parameters_.end()) {
      return unknown_name(str(class_name_, " argument"), key, parameters_);
    }
    if (config_.has(key)) return invalid_argument(class_name_, ": ", key, " is given twice");
    config_.set(key, std::move(value));
    return {};
  }

  Config finish() && { return keras_object(class_name_, std::move(config_)); }

 private:
  std::string_view class_name_;
  std::vector<std::string> parameters_;
  Config config_ = Config::map();
  size_t count_ = 0;
  bool has_keywords_ = false;
};

class Parser {
 public:
  Parser(std::string_view text, std::span<const CallSignature> own) : text_(text), own_(own) {}

  Result<Config> parse_all() {
    EW_TRY(Config value, parse_value(0));
    skip_blanks();
    if (at_ != text_.size()) return expected("the end");
    return value;
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_blanks() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool accept(char c) {
    skip_blanks();
    if (peek() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  Error expected(std::string_view what) const {
    const std::string found =
        at_ < text_.size() ? str("'", text_.substr(at_, 12), "'") : std::string("the end");
    return invalid_argument("column ", at_ + 1, ": expected ", what, ", found ", found);
  }

  std::string_view take_word() {
    const size_t begin = at_;
    while (is_word(peek()) || (peek() == '.' && at_ > begin)) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  Result<Config> parse_value(int depth) {
    if (depth > kMaxDepth) return invalid_argument("column ", at_ + 1, ": nested too deeply");
    skip_blanks();
    const char c = peek();
    if (c == '"' || c == '\'') return parse_string();
    if (c == '[' || c == '(') return parse_list(depth);
    if (is_word_start(c)) return parse_word(depth);
    return parse_number();
  }

  Result<Config> parse_string() {
    const char quote = text_[at_];
    const size_t begin = at_ + 1;
    const size_t end = text_.find(quote, begin);
    if (end == std::string_view::npos) return expected(str("a string closed by ", quote));
    at_ = end + 1;
    return Config(text_.substr(begin, end - begin));
  }

  Result<Config> parse_list(int depth) {
    const char close = text_[at_++] == '[' ? ']' : ')';
    Config list = Config::list();
    while (!accept(close)) {
      EW_TRY(Config item, parse_value(depth + 1));
      list.push_back(std::move(item));
      if (!accept(',')) {
        if (!accept(close)) return expected(str("',' or '", close, "'"));
        break;
      }
    }
    return list;
  }

  Result<Config> parse_number() {
    const size_t begin = at_;
    const bool negative = peek() == '-';
    if (peek() == '-' || peek() == '+') ++at_;
    const char* first = text_.data() + at_;
    const char* last = text_.data() + text_.size();
    int64_t integer = 0;
    const auto as_int = std::from_chars(first, last, integer);
    double real = 0;
    const auto as_real = std::from_chars(first, last, real);
    at_ = begin;
    if (as_real.ec != std::errc() || first == last ||
        !(std::isdigit(static_cast<unsigned char>(*first)) || *first == '.')) {
      return expected("a value");
    }
    at_ = static_cast<size_t>(as_real.ptr - text_.data());
    if (is_word(peek())) return expected("the end of the number");
    const bool is_integer = as_int.ec == std::errc() && as_int.ptr == as_real.ptr;
    if (is_integer) return Config(negative ? -integer : integer);
    return Config(negative ? -real : real);
  }

  Result<Config> parse_word(int depth) {
    std::string_view word = take_word();
    if (word == "True" || word == "true") return Config(true);
    if (word == "False" || word == "false") return Config(false);
    if (word == "None" || word == "null") return Config();
    const size_t dot = word.rfind('.');
    if (dot != std::string_view::npos) word.remove_prefix(dot + 1);
    const CallSignature* signature = find(word);
    if (!accept('(')) {
      if (signature && signature->class_name == word) return keras_object(word, Config::map());
      return Config(word);
    }
    if (!signature) return unknown_class(word);
    return parse_arguments(Arguments(*signature), depth);
  }

  const CallSignature* find(std::string_view word) const {
    if (own_.empty()) return find_call_signature(word);
    for (const CallSignature& s : own_) {
      if (s.class_name == word) return &s;
    }
    return nullptr;
  }

  Error unknown_class(std::string_view word) const {
    std::vector<std::string> known;
    for (const CallSignature& s : own_.empty() ? call_signatures() : own_) {
      known.emplace_back(s.class_name);
    }
    return unknown_name("call", word, known);
  }

  Result<Config> parse_arguments(Arguments arguments, int depth) {
    while (!accept(')')) {
      skip_blanks();
      const size_t begin = at_;
      const std::string key(is_word_start(peek()) ? take_word() : std::string_view());
      if (!key.empty() && accept('=')) {
        EW_TRY(Config value, parse_value(depth + 1));
        EW_TRY_VOID(arguments.add_keyword(key, std::move(value)));
      } else {
        at_ = begin;
        EW_TRY(Config value, parse_value(depth + 1));
        EW_TRY_VOID(arguments.add_positional(std::move(value)));
      }
      if (!accept(',')) {
        if (!accept(')')) return expected("',' or ')'");
        break;
      }
    }
    return std::move(arguments).finish();
  }

  std::string_view text_;
  std::span<const CallSignature> own_;  // empty: Keras' classes
  size_t at_ = 0;
};

}  // namespace

Result<Config> parse_call(std::string_view text, std::span<const CallSignature> own) {
  auto parsed = Parser(text, own).parse_all();
  if (!parsed.ok()) return at(str("'", text.substr(0, 80), "'"), parsed.error());
  return parsed;
}

}  // namespace ew::train
