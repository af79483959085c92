#pragma once
// What may leave: fields dropped, hashed or rounded before an output is queued.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/value.h"
#include "host/secret_key.h"

namespace ew::agent {

struct Redaction;

/// Appends the JSON object `object` (valid) with the redactions applied to its top-level fields;
/// with `keep`, only those fields, and none that `replaced` names. All other bytes of the values
/// stay as they are.
void append_redacted_json(std::string& out, std::string_view object,
                          std::span<Redaction> redactions, std::span<const std::string> keep,
                          std::span<const std::string> replaced);

/// The same for a row of values.
void append_redacted_row(std::string& out, std::span<const Value> values,
                         std::span<const std::string> names, std::span<Redaction> redactions,
                         std::span<const std::string> keep);

/// 16 hexadecimal digits that stand for `text`: equal texts stay equal, which lets a receiver join
/// without knowing them. A pseudonym, not a secret: short texts can be found by trying.
std::string pseudonym(std::string_view text);

/// 32 hexadecimal digits, BLAKE2b under a secret key (RFC 7693): who does not have the key cannot
/// find the text by trying either. The plug-in of libsodium must be loaded (host::sodium()).
std::string keyed_pseudonym(std::string_view text, const host::SecretKey& key);

}  // namespace ew::agent
