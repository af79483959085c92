#pragma once
// YAML documents as trees that know their lines. yaml-cpp is behind a plug-in, loaded when the
// first document is read.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace ew::host {

/// A place in a file; lines and columns count from 1.
struct YamlPlace {
  std::shared_ptr<const std::string> file;
  int line = 0;
  int column = 0;
};

/// "app.yaml:3:5".
std::string to_string(const YamlPlace& place);

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  YamlPlace place;
  std::string text;        ///< of a scalar
  bool is_quoted = false;  ///< a scalar in quotes is always text
  std::vector<YamlNode> list;
  struct Entry;
  std::vector<Entry> map;  ///< in the order of the file; keys are unique

  bool is_null() const { return kind == Kind::kNull; }
  bool is_scalar() const { return kind == Kind::kScalar; }
  bool is_list() const { return kind == Kind::kList; }
  bool is_map() const { return kind == Kind::kMap; }
  const char* kind_name() const;
  /// The value under `key`, or null.
  const YamlNode* find(std::string_view key) const;
  const Entry* entry(std::string_view key) const;

  /// kInvalidData "FILE:LINE:COLUMN: message".
  Error error(const std::string& message) const;
};

struct YamlNode::Entry {
  std::string key;
  YamlPlace place;  ///< of the key
  YamlNode value;
};

struct YamlLimits {
  size_t max_bytes = size_t{4} << 20;
  size_t max_nodes = 100'000;  ///< aliases count as often as they are used
  int max_depth = 64;
  size_t max_aliases = 1000;
};

/// The one document that `text` holds; an empty text is a null node. Anchors and aliases are
/// resolved, `<<` is an ordinary key, tags other than "!" are refused. `file` names it in messages.
/// Errors: kInvalidData with line and column (syntax, a key twice, an unknown alias, two
/// documents); kResourceLimit above a limit.
Result<YamlNode> parse_yaml(std::string_view text, const std::string& file,
                            const YamlLimits& limits = {});

/// The same from a file. Errors also: kNotFound, kIo.
Result<YamlNode> load_yaml(const std::string& path, const YamlLimits& limits = {});

}  // namespace ew::host
