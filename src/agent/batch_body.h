#pragma once
// Several outputs in one message: a JSON list, or a JSON value a line.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/settings.h"
#include "agent/sink.h"

namespace ew::agent {

/// The choices of the word `format`.
inline constexpr const char* kBatchFormats[] = {"json", "lines"};
/// A batch is closed beyond.
inline constexpr size_t kMaxBatchBytes = size_t{1} << 20;

struct BatchFormat {
  bool is_list = true;  ///< one JSON list; else a value a line
  bool has_ids = true;  ///< outputs are {id, rule, key, time, resent, data}, else payloads only
};

/// Appends an output to a body that is empty or holds others. A payload that is no JSON object
/// becomes a text.
void append_output(std::string& body, const Output& output, const BatchFormat& format);
/// Ends a body that holds an output.
void end_batch(std::string& body, const BatchFormat& format);

/// The records of a body in the format of a source: of json one object, the values of a list, or an
/// object a line; of csv and text the lines; else all of it. Nothing if it is no JSON of these.
/// Views into `body`.
std::optional<std::vector<std::string_view>> split_batch(std::string_view body,
                                                         std::string_view format);

}  // namespace ew::agent
