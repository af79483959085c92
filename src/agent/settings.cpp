#include "agent/settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace ew::agent {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr Unit kDurationUnits[] = {{"us", 1},   {"ms", 1e3},  {"s", 1e6},
                                   {"m", 60e6}, {"h", 3.6e9}, {"d", 86.4e9}};

const WordDef* find_word(std::span<const WordDef> words, std::string_view name) {
  for (const WordDef& word : words) {
    if (name == word.name) return &word;
  }
  return nullptr;
}

/// A number without sign of hexadecimal, "inf" or "nan"; nothing if the text is none.
bool read_number(std::string_view text, double& value, std::string_view* rest = nullptr) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value)) return false;
  const size_t used = static_cast<size_t>(end - text.data());
  if (rest != nullptr) *rest = text.substr(used);
  return rest != nullptr || used == text.size();
}

std::string expected_text(const WordDef& word) {
  switch (word.kind) {
    case WordKind::kInteger:
      return "an integer";
    case WordKind::kNumber:
      return "a number";
    case WordKind::kFlag:
      return "true or false";
    case WordKind::kDuration:
      return "a duration such as 250ms, 5s or 1m30s";
    case WordKind::kSize:
      return "a size such as 4096, 64K or 16M";
    case WordKind::kChoice: {
      std::vector<std::string> names(word.choices.begin(), word.choices.end());
      return str("one of ", join(names, ", "));
    }
    case WordKind::kTexts:
      return "a text or a list of texts";
    case WordKind::kExpression:
      return "an expression";
    case WordKind::kMap:
      return "a map";
    case WordKind::kList:
      return "a list of maps";
    case WordKind::kText:
      break;
  }
  return "a text";
}

/// What is wrong with a scalar under `word`, or "".
std::string scalar_fault(const WordDef& word, const std::string& text) {
  double value = 0;
  switch (word.kind) {
    case WordKind::kInteger: {
      int64_t integer = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), integer);
      if (error != std::errc() || end != text.data() + text.size()) return "kind";
      value = static_cast<double>(integer);
      break;
    }
    case WordKind::kNumber:
      if (!read_number(text, value)) return "kind";
      break;
    case WordKind::kFlag:
      return text == "true" || text == "false" ? "" : "kind";
    case WordKind::kDuration: {
      const Result<int64_t> us = parse_duration_us(text);
      if (!us.ok()) return "kind";
      value = static_cast<double>(*us) / 1e6;
      break;
    }
    case WordKind::kSize: {
      const Result<int64_t> bytes = parse_size(text);
      if (!bytes.ok()) return "kind";
      value = static_cast<double>(*bytes);
      break;
    }
    case WordKind::kChoice:
      return std::ranges::any_of(word.choices, [&](const char* c) { return text == c; }) ? ""
                                                                                         : "kind";
    default:
      return "";
  }
  if (value < word.min) return str("must be at least ", word.min);
  if (value > word.max) return str("must be at most ", word.max);
  return "";
}

void check_value(const host::YamlNode& node, const WordDef& word, std::vector<Error>& errors) {
  const auto wrong_kind = [&] {
    std::string message = str(word.name, ": expected ", expected_text(word), ", found ");
    message += node.is_scalar() ? str("'", node.text, "'") : std::string(node.kind_name());
    if (word.kind == WordKind::kChoice && node.is_scalar()) {
      std::vector<std::string> names(word.choices.begin(), word.choices.end());
      const std::string near = nearest_word(node.text, names);
      if (!near.empty()) message += str("; did you mean ", near, "?");
    }
    errors.push_back(node.error(message));
  };
  switch (word.kind) {
    case WordKind::kMap:
      if (!node.is_map()) return wrong_kind();
      if (!word.words.empty()) check_words(node, word.words, errors);
      return;
    case WordKind::kList:
      if (!node.is_list()) return wrong_kind();
      for (const host::YamlNode& item : node.list) {
        if (!item.is_map()) {
          errors.push_back(
              item.error(str(word.name, ": expected a map, found ", item.kind_name())));
        } else if (!word.words.empty()) {
          check_words(item, word.words, errors);
        }
      }
      return;
    case WordKind::kTexts:
      if (node.is_scalar()) return;
      if (!node.is_list()) return wrong_kind();
      for (const host::YamlNode& item : node.list) {
        if (!item.is_scalar()) {
          errors.push_back(
              item.error(str(word.name, ": expected a text, found ", item.kind_name())));
        }
      }
      return;
    default:
      break;
  }
  if (!node.is_scalar()) return wrong_kind();
  const std::string fault = scalar_fault(word, node.text);
  if (fault == "kind") return wrong_kind();
  if (!fault.empty()) errors.push_back(node.error(str(word.name, ": ", node.text, " ", fault)));
}

}  // namespace

Result<int64_t> parse_duration_us(std::string_view text) {
  const auto fail = [&] {
    return invalid_data("expected a duration such as 250ms, 5s or 1m30s, found '", text, "'");
  };
  if (text == "0") return int64_t{0};
  double total = 0;
  std::string_view rest = text;
  if (rest.empty()) return fail();
  while (!rest.empty()) {
    double value = 0;
    if (!read_number(rest, value, &rest) || value < 0) return fail();
    size_t letters = 0;
    while (letters < rest.size() && rest[letters] >= 'a' && rest[letters] <= 'z') ++letters;
    const auto* unit = std::ranges::find(kDurationUnits, rest.substr(0, letters), &Unit::name);
    if (unit == std::end(kDurationUnits)) return fail();
    total += value * unit->factor;
    rest.remove_prefix(letters);
  }
  if (total > 3.2e15) return invalid_data("'", text, "': a duration must be below 100 years");
  return static_cast<int64_t>(std::llround(total));
}

Result<int64_t> parse_size(std::string_view text) {
  double value = 0;
  std::string_view rest;
  const bool ok = read_number(text, value, &rest) && value >= 0;
  double factor = 1;
  if (rest == "K") factor = 1024;
  if (rest == "M") factor = 1024.0 * 1024;
  if (rest == "G") factor = 1024.0 * 1024 * 1024;
  if (rest == "T") factor = 1024.0 * 1024 * 1024 * 1024;
  if (!ok || (factor == 1 && !rest.empty()) || value * factor > 1e15) {
    return invalid_data("expected a size such as 4096, 64K or 16M, found '", text, "'");
  }
  return static_cast<int64_t>(value * factor);
}

std::string duration_text(int64_t us) {
  std::string out;
  for (const Unit& unit : {kDurationUnits[5], kDurationUnits[4], kDurationUnits[3],
                           kDurationUnits[2], kDurationUnits[1], kDurationUnits[0]}) {
    const auto factor = static_cast<int64_t>(unit.factor);
    if (us >= factor) {
      out += str(us / factor, unit.name);
      us %= factor;
    }
  }
  return out.empty() ? "0" : out;
}

const host::YamlNode* Settings::node(std::string_view word) const {
  const host::YamlNode* found = node_ == nullptr ? nullptr : node_->find(word);
  return found == nullptr || found->is_null() ? nullptr : found;
}

bool Settings::has(std::string_view word) const { return node(word) != nullptr; }

std::string Settings::value(std::string_view word) const {
  if (const host::YamlNode* found = node(word)) return found->text;
  const WordDef* def = find_word(words_, word);
  EW_DCHECK(def != nullptr);
  return def == nullptr ? "" : def->fallback;
}

std::string Settings::text(std::string_view word) const { return value(word); }

int64_t Settings::integer(std::string_view word) const {
  const std::string text = value(word);
  int64_t result = 0;
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

double Settings::number(std::string_view word) const {
  double result = 0;
  read_number(value(word), result);
  return result;
}

bool Settings::flag(std::string_view word) const { return value(word) == "true"; }

int64_t Settings::duration_us(std::string_view word) const {
  const Result<int64_t> us = parse_duration_us(value(word));
  return us.ok() ? *us : 0;
}

int64_t Settings::size(std::string_view word) const {
  const Result<int64_t> bytes = parse_size(value(word));
  return bytes.ok() ? *bytes : 0;
}

std::vector<std::string> Settings::texts(std::string_view word) const {
  std::vector<std::string> out;
  if (const host::YamlNode* found = node(word)) {
    if (found->is_scalar()) return {found->text};
    for (const host::YamlNode& item : found->list) out.push_back(item.text);
    return out;
  }
  std::string text = value(word);
  if (!text.empty()) out.push_back(std::move(text));
  return out;
}

Settings Settings::map(std::string_view word) const {
  const WordDef* def = find_word(words_, word);
  return {node(word), def == nullptr ? std::span<const WordDef>() : def->words};
}

Error Settings::error(std::string_view word, const std::string& message) const {
  const host::YamlNode* found = node(word);
  if (found == nullptr) found = node_;
  if (found == nullptr) return invalid_data(word, ": ", message);
  return found->error(str(word, ": ", message));
}

void check_words(const host::YamlNode& node, std::span<const WordDef> words,
                 std::vector<Error>& errors, std::span<const char* const> open) {
  for (const host::YamlNode::Entry& entry : node.map) {
    if (std::ranges::any_of(open, [&](const char* o) { return entry.key == o; })) continue;
    if (const WordDef* word = find_word(words, entry.key)) {
      if (!entry.value.is_null()) check_value(entry.value, *word, errors);
      continue;
    }
    std::vector<std::string> names(open.begin(), open.end());
    for (const WordDef& word : words) names.emplace_back(word.name);
    const std::string near = nearest_word(entry.key, names);
    errors.push_back(invalid_data(entry.place, ": unknown word '", entry.key, "'",
                                  near.empty() ? str("; expected one of ", join(names, ", "))
                                               : str("; did you mean ", near, "?")));
  }
  for (const WordDef& word : words) {
    const host::YamlNode* found = node.find(word.name);
    if (word.is_required && (found == nullptr || found->is_null())) {
      errors.push_back(node.error(str("expected the word '", word.name, "' (", word.help, ")")));
    }
  }
}

}  // namespace ew::agent
