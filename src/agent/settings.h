#pragma once
// The words of an app file: tables that say which there are, and checked access to their values.
// `edgewise check`, the JSON Schema and the guide's table come from the same tables.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "host/yaml.h"

namespace ew::agent {

enum class WordKind {
  kText,
  kInteger,
  kNumber,
  kFlag,        ///< true or false
  kDuration,    ///< 250ms, 5s, 1m30s, 1h, 2d; a bare 0
  kSize,        ///< 4096, 64K, 16M, 1G (powers of 1024)
  kChoice,      ///< one of `choices`
  kTexts,       ///< a list of texts, or one text
  kExpression,  ///< text in the expression language
  kMap,         ///< words that `words` describes, or free ones if it is empty
  kList,        ///< a list of maps that `words` describes
};

/// One word. Tables of these are constants.
struct WordDef {
  const char* name;
  WordKind kind = WordKind::kText;
  const char* help = "";
  const char* fallback = "";  ///< the default as it would be written; "" for none
  bool is_required = false;
  double min = -9e18;  ///< of numbers; of durations in seconds, of sizes in bytes
  double max = 9e18;
  std::span<const char* const> choices = {};
  std::span<const WordDef> words = {};
};

/// "1m30s" in microseconds. Errors: kInvalidData.
Result<int64_t> parse_duration_us(std::string_view text);
/// "64K" in bytes. Errors: kInvalidData.
Result<int64_t> parse_size(std::string_view text);
/// "90s" as "1m30s", for messages.
std::string duration_text(int64_t us);

/// One map of the app file against its table. Values that check_words() accepted are read without
/// errors: the value given, else the word's default, else "", 0 or false. Refers to the document
/// and to the tables, which must outlive it.
class Settings {
 public:
  Settings(const host::YamlNode* node, std::span<const WordDef> words)
      : node_(node), words_(words) {}

  bool has(std::string_view word) const;
  std::string text(std::string_view word) const;
  int64_t integer(std::string_view word) const;
  double number(std::string_view word) const;
  bool flag(std::string_view word) const;
  int64_t duration_us(std::string_view word) const;
  int64_t size(std::string_view word) const;
  std::vector<std::string> texts(std::string_view word) const;
  /// The map under a word of kind kMap; empty if there is none.
  Settings map(std::string_view word) const;
  /// The node under a word, or null.
  const host::YamlNode* node(std::string_view word) const;
  const host::YamlNode* node() const { return node_; }
  std::span<const WordDef> words() const { return words_; }

  /// kInvalidData "FILE:LINE:COLUMN: word: message", at the word if it is there, else at the map.
  Error error(std::string_view word, const std::string& message) const;

 private:
  std::string value(std::string_view word) const;

  const host::YamlNode* node_ = nullptr;
  std::span<const WordDef> words_;
};

/// Appends one error for each word of `node` that the table does not have (with the nearest one),
/// that has the wrong kind or range, or that is missing. `open` names further words that the caller
/// reads itself.
void check_words(const host::YamlNode& node, std::span<const WordDef> words,
                 std::vector<Error>& errors, std::span<const char* const> open = {});

}  // namespace ew::agent
