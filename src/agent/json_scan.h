#pragma once
// Reads only the fields that an app uses out of a JSON object, in one pass, without allocating.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/value.h"

namespace ew::agent {

/// The wanted fields. A path "motor.temp" names a field inside an object; a list is no object.
class FieldTree {
 public:
  FieldTree() : nodes_(1) {}
  /// The slot of `path`, a new one if it was not wanted before.
  size_t want(std::string_view path);
  size_t slot_count() const { return paths_.size(); }
  const std::vector<std::string>& paths() const { return paths_; }

  struct Node {
    std::string name;
    int slot = -1;
    std::vector<size_t> children;
  };
  const Node& node(size_t index) const { return nodes_[index]; }

 private:
  std::vector<Node> nodes_;  // 0 is the root
  std::vector<std::string> paths_;
};

enum class JsonFault { kNone, kSyntax, kDuplicate, kTooDeep };

struct JsonScan {
  JsonFault fault = JsonFault::kNone;
  size_t offset = 0;  ///< of the fault
};

/// Checks that `text` is one JSON object in UTF-8 (RFC 8259; also the bare tokens NaN, Infinity and
/// -Infinity, as Python writes them) and fills `values`, one per slot; slots that are not there
/// become missing, lists and objects too. A wanted field that stands twice in one object is a
/// fault. Texts are views into `text` or, where they had escapes, into `scratch`, which must
/// outlive them.
JsonScan scan_json(std::string_view text, const FieldTree& fields, std::span<Value> values,
                   std::string& scratch);

/// Calls visit(name token without quotes, value token) for each entry of the top object of a valid
/// JSON text.
template <typename Visit>
void for_each_entry(std::string_view object, Visit visit);

/// The end of the JSON value that starts at `offset` of a valid text; blanks before it are skipped.
size_t skip_json_value(std::string_view text, size_t offset);
size_t skip_json_blanks(std::string_view text, size_t offset);

template <typename Visit>
void for_each_entry(std::string_view object, Visit visit) {
  size_t at = skip_json_blanks(object, 0) + 1;  // behind '{'
  while (true) {
    at = skip_json_blanks(object, at);
    if (at >= object.size() || object[at] == '}') return;
    const size_t name_end = skip_json_value(object, at);
    const std::string_view name = object.substr(at + 1, name_end - at - 2);
    at = skip_json_blanks(object, skip_json_blanks(object, name_end) + 1);  // behind ':'
    const size_t end = skip_json_value(object, at);
    visit(name, object.substr(at, end - at));
    at = skip_json_blanks(object, end);
    if (at < object.size() && object[at] == ',') ++at;
  }
}

}  // namespace ew::agent
