#pragma once
// JSON text to and from Config, in the dialect that Python's json module reads and writes.

#include <string>
#include <string_view>

#include "base/config.h"

namespace ew::formats {

/// Limits for text of untrusted origin.
struct JsonLimits {
  int max_depth = 200;                 ///< lists and maps inside each other
  size_t max_bytes = size_t{1} << 27;  ///< length of the text
  size_t max_values = 8'000'000;       ///< values of all kinds, because "[0,0,…" grows in memory
};

/// The value that `text` describes. Beyond RFC 8259, the bare tokens NaN, Infinity and -Infinity
/// are accepted, as Python writes them. An integer beyond int64 becomes a double; of equal keys in
/// one map the last wins. Errors: kInvalidData with the offset of the first wrong byte,
/// kResourceLimit above a limit.
Result<Config> parse_json(std::string_view text, const JsonLimits& limits = {});

/// Text that parse_json() and Python's json.loads() read back as the same value: ASCII only, keys
/// in their order, doubles as the shortest text that rounds back, always with a '.' or an exponent
/// (so that Python reads a float). `indent` < 0 gives one line with ", " and ": ", like Python's
/// default; else nested values stand on their own lines, indented by `indent` blanks a level.
std::string to_json(const Config& value, int indent = -1);

}  // namespace ew::formats
