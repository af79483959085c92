#include "agent/batch_body.h"

#include <algorithm>

#include "agent/json_scan.h"

namespace ew::agent {
namespace {

/// `payload` as one JSON value on one line.
void append_value(std::string& out, std::string_view payload) {
  static const FieldTree kNoFields;
  std::string scratch;
  if (scan_json(payload, kNoFields, {}, scratch).fault != JsonFault::kNone) {
    return append_json_text(out, payload);
  }
  const size_t begin = out.size();
  out += payload;
  // Inside of JSON texts there are no bare line ends.
  std::replace_if(
      out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(),
      [](char c) { return c == '\n' || c == '\r'; }, ' ');
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

void end_batch(std::string& body, const BatchFormat& format) {
  if (format.is_list) body += ']';
}

}  // namespace ew::agent
