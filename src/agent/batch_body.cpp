#include "agent/batch_body.h"

#include <algorithm>

#include "agent/json_scan.h"

namespace ew::agent {
namespace {

const FieldTree& no_fields() {
  static const FieldTree tree;
  return tree;
}

/// `payload` as one JSON value on one line.
void append_value(std::string& out, std::string_view payload) {
  std::string scratch;
  if (scan_json(payload, no_fields(), {}, scratch).fault != JsonFault::kNone) {
    return append_json_text(out, payload);
  }
  const size_t begin = out.size();
  out += payload;
  // Inside of JSON texts there are no bare line ends.
  std::replace_if(
      out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(),
      [](char c) { return c == '\n' || c == '\r'; }, ' ');
}

bool is_json_object(std::string_view text) {
  std::string scratch;
  return scan_json(text, no_fields(), {}, scratch).fault == JsonFault::kNone;
}

/// The entries of a JSON list; nothing if it is none.
std::optional<std::vector<std::string_view>> split_list(std::string_view body) {
  if (!is_json_object(str("{\"list\":", body, "}"))) return std::nullopt;
  std::vector<std::string_view> entries;
  size_t at = skip_json_blanks(body, body.find('[') + 1);
  while (at < body.size() && body[at] != ']') {
    const size_t end = skip_json_value(body, at);
    entries.push_back(body.substr(at, end - at));
    at = skip_json_blanks(body, end);
    if (at < body.size() && body[at] == ',') at = skip_json_blanks(body, at + 1);
  }
  // Behind the list there may be more entries of the object around it.
  if (skip_json_blanks(body, at + 1) < body.size()) return std::nullopt;
  return entries;
}

std::vector<std::string_view> split_lines(std::string_view body) {
  std::vector<std::string_view> lines;
  while (!body.empty()) {
    const size_t end = std::min(body.find('\n'), body.size());
    std::string_view line = body.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) lines.push_back(line);
    body.remove_prefix(std::min(end + 1, body.size()));
  }
  return lines;
}

/// One object, a list of values, or an object a line; nothing if it is none of these.
std::optional<std::vector<std::string_view>> split_json(std::string_view body) {
  const size_t begin = skip_json_blanks(body, 0);
  if (begin < body.size() && body[begin] == '[') return split_list(body);
  if (is_json_object(body)) return std::vector{body};
  std::vector<std::string_view> lines = split_lines(body);
  for (const std::string_view line : lines) {
    if (!is_json_object(line)) return std::nullopt;
  }
  return lines;
}

}  // namespace

void append_output(std::string& body, const Output& output, const BatchFormat& format) {
  if (body.empty()) {
    if (format.is_list) body += '[';
  } else {
    body += format.is_list ? ',' : '\n';
  }
  if (!format.has_ids) return append_value(body, output.payload);
  body += "{\"id\":";
  append_json_text(body, output.id);
  body += ",\"rule\":";
  append_json_text(body, output.rule);
  body += ",\"key\":";
  append_json_text(body, output.key);
  body += str(",\"time\":", output.event_time_us);
  if (output.is_resent) body += ",\"resent\":true";
  body += ",\"data\":";
  append_value(body, output.payload);
  body += '}';
}

std::optional<std::vector<std::string_view>> split_batch(std::string_view body,
                                                         std::string_view format) {
  if (format == "json") return split_json(body);
  if (format == "csv" || format == "text") return split_lines(body);
  return std::vector{body};
}

void end_batch(std::string& body, const BatchFormat& format) {
  if (format.is_list) body += ']';
}

}  // namespace ew::agent
