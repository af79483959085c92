// Payloads: the scanner against the JSON reader of the model formats, and redaction.
#include "agent/json_scan.h"
#include "agent/redact.h"
#include "agent/stream.h"
#include "formats/json.h"
#include "targets.h"

namespace ew::fuzz {
namespace {

/// Halves of surrogate pairs, and numbers that no double holds, are JSON by its grammar (RFC 8259,
/// 6 and 8.2); the other reader takes none.
bool is_beyond_other_reader(std::string_view text) {
  if (text.find("\\ud") != text.npos || text.find("\\uD") != text.npos) return true;
  size_t digits = 0;
  bool is_exponent = false;
  for (const char c : text) {
    if (c >= '0' && c <= '9') {
      if (++digits >= (is_exponent ? 3 : 300)) return true;
    } else if (c != '+' || !is_exponent) {
      digits = 0;
      is_exponent = c == 'e' || c == 'E';
    }
  }
  return false;
}

}  // namespace

void payload(Bytes bytes) {
  const std::string_view text = text_of(bytes);
  agent::FieldTree fields;
  const size_t a = fields.want("a");
  const size_t inner = fields.want("b.c");
  std::vector<agent::Value> values(fields.slot_count());
  std::string scratch;
  const agent::JsonScan scan = agent::scan_json(text, fields, values, scratch);
  if (scan.fault != agent::JsonFault::kNone) {
    require(scan.offset <= text.size(), "the fault lies in the text");
    return;
  }
  const Result<Config> whole = formats::parse_json(text);
  if (!whole.ok() && is_beyond_other_reader(text)) return;
  require(whole.ok() && whole->is_map(), "what the scanner takes is JSON");
  const Config& expected = (*whole)["a"];
  if (expected.is_number() && values[a].kind == agent::Value::Kind::kNumber) {
    const double difference = expected.as_double() - values[a].number;
    require(difference == 0 || difference != difference, "numbers are the same");
  }
  require(values[inner].is_missing() || (*whole)["b"].is_map(), "a field inside an object");

  std::vector<agent::Redaction> redactions{
      {.what = agent::Redaction::What::kDrop, .field = "a"},
      {.what = agent::Redaction::What::kHash, .field = "b"},
      {.what = agent::Redaction::What::kRound, .field = "c", .decimals = 1}};
  std::string out;
  agent::append_redacted_json(out, text, redactions, {}, {});
  const Result<Config> redacted = formats::parse_json(out);
  require(redacted.ok() && redacted->is_map(), "what is redacted is JSON");
  require(!redacted->has("a"), "and has lost the field");
}

}  // namespace ew::fuzz
