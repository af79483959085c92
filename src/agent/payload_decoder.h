#pragma once
// Payloads of binary formats as JSON objects, so that everything behind a source knows one form.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/settings.h"
#include "base/result.h"

namespace ew::agent {

class ByteReader;
class ByteWriter;

class PayloadDecoder {
 public:
  virtual ~PayloadDecoder() = default;
  /// Appends one JSON object to `json`. Error kInvalidData says what is wrong at which byte; `json`
  /// may then hold anything. `topic` is the message's: some formats keep names by it.
  virtual Status decode(std::string_view topic, std::string_view payload, std::string& json) = 0;
  /// What was learnt from earlier payloads, for the snapshot.
  virtual void save([[maybe_unused]] ByteWriter& out) const {}
  virtual bool load([[maybe_unused]] ByteReader& in) { return true; }
};

/// CBOR (RFC 8949): a map with texts or integers as keys. Byte strings become base64, tags are
/// passed over, undefined is null; nested at most 32 deep, numbers that JSON does not have are
/// null.
std::unique_ptr<PayloadDecoder> make_cbor_decoder();

/// Sparkplug B 3.0 payloads (org.eclipse.tahu.protobuf.Payload): {"METRIC": value...}, with the
/// payload's "timestamp" (milliseconds) and "seq". Aliases are those of the BIRTH message of the
/// same edge node and device, by the topic spBv1.0/GROUP/TYPE/NODE[/DEVICE]; a metric of an unknown
/// alias is named "alias:N". Data sets, templates and lists are left out.
std::unique_ptr<PayloadDecoder> make_sparkplug_decoder();

/// One number, or several in a row, of a binary payload.
struct BinaryField {
  enum class Type { kU8, kI8, kU16, kI16, kU32, kI32, kU64, kI64, kF32, kF64 };
  std::string name;
  Type type = Type::kU8;
  int64_t offset = -1;  ///< from the start; -1: behind the field before
  int64_t count = 1;    ///< above 1, or 0 for all that is left: a list
  bool is_big_endian = false;
  double scale = 1;
  double add = 0;
};

/// The words of one entry of `layout:`.
std::span<const WordDef> binary_field_words();
Result<std::vector<BinaryField>> read_layout(const host::YamlNode& list);
/// A declared layout. A payload that is shorter is an error, what is left at its end is passed
/// over.
std::unique_ptr<PayloadDecoder> make_binary_decoder(std::vector<BinaryField> fields);

}  // namespace ew::agent
