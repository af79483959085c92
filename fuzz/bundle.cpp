// Bundles as they come from afar, and the record of a device's versions.
#include "agent/bundle.h"

#include "agent/slots.h"
#include "base/crc32c.h"
#include "targets.h"

namespace ew::fuzz {
namespace {

void read(Bytes bytes) {
  const auto head = agent::parse_bundle_head(bytes, bytes.size());
  if (!head.ok()) return;
  const agent::BundleManifest& m = head->manifest;
  require(head->signed_bytes < head->head.size() && head->head.size() <= bytes.size(),
          "the head lies in the bundle");
  uint64_t total = head->head.size();
  bool has_app = false;
  for (const agent::BundleFile& file : m.files) {
    require(agent::is_bundle_path(file.path), "every file stays below its folder");
    require(file.path[0] != '/' && ("/" + file.path).find("/.") == std::string::npos,
            "no file is above its folder");
    has_app = has_app || file.path == m.app;
    total += file.bytes;
  }
  require(has_app && total == bytes.size(), "the files fill the bundle, the app is one of them");
  require(!agent::verify_bundle(*head, {}).ok(), "nothing is trusted without a key");
  uint64_t taken = 0;
  const Status all = agent::read_bundle_files(agent::MemoryFile(bytes), *head,
                                              [&](const auto&, Bytes piece) -> Status {
                                                taken += piece.size();
                                                return {};
                                              });
  require(!all.ok() || taken == total - head->head.size(), "all content is read");
}

/// With the checksum that no fuzzer guesses.
void read_record(Bytes bytes) {
  agent::SlotRecord empty;
  std::string text = agent::slots_text(empty);
  text = text.substr(0, text.rfind("check ")) + std::string(text_of(bytes)) + "\n";
  constexpr const char* kDigits = "0123456789abcdef";
  const uint32_t crc = crc32c({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  text += "check ";
  for (int shift = 28; shift >= 0; shift -= 4) text += kDigits[crc >> shift & 15];
  const auto record = agent::parse_slots(text + "\n");
  if (!record.ok()) return;
  for (const agent::Slot& slot : {record->active, record->earlier}) {
    require(slot.app.empty() || agent::is_bundle_path(slot.app), "slots stay below their folder");
  }
  const auto again = agent::parse_slots(agent::slots_text(*record));
  require(again.ok() && again->highest == record->highest &&
              again->active.version == record->active.version,
          "a record is read back as it was written");
}

}  // namespace

void bundle(Bytes bytes) {
  read(bytes);
  read_record(bytes);
}

}  // namespace ew::fuzz
