#pragma once
// ZIP archives in memory, as `.keras` and `.npz` need them (PKWARE APPNOTE 6.3): stored and
// deflated members, no encryption, no ZIP64, one part. Names are only names: nothing is written to
// disk.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ew::formats {

struct ZipLimits {
  size_t max_members = 65535;
  int64_t max_member_bytes = int64_t{1} << 31;
  int64_t max_total_bytes = int64_t{1} << 32;  ///< all members unpacked
};

struct ZipMember {
  std::string name;
  uint32_t size = 0;         ///< bytes unpacked
  uint32_t packed_size = 0;  ///< bytes in the archive
  uint32_t crc = 0;
  uint16_t method = 0;     ///< 0 stored, 8 deflated
  size_t data_offset = 0;  ///< of the packed bytes
};

/// A checked table of contents over bytes that must outlive it.
class ZipView {
 public:
  /// Errors: kInvalidData (no ZIP, damaged, members that overlap: a bomb), kUnsupported
  /// (encryption, ZIP64, several parts, other methods), kResourceLimit.
  static Result<ZipView> open(std::span<const uint8_t> bytes, const ZipLimits& limits = {});

  /// In the order of the archive; names are unique.
  const std::vector<ZipMember>& members() const { return members_; }
  /// Null if there is none of this name.
  const ZipMember* find(std::string_view name) const;
  /// The member unpacked, its size and CRC-32 checked. Error kInvalidData.
  Result<std::vector<uint8_t>> read(const ZipMember& member) const;
  /// The same by name; kNotFound lists what there is.
  Result<std::vector<uint8_t>> read(std::string_view name) const;

 private:
  std::span<const uint8_t> bytes_;
  std::vector<ZipMember> members_;
};

struct ZipInput {
  std::string name;
  std::span<const uint8_t> bytes;
};

/// An archive of stored members, dated 1980-01-01 so that equal inputs give equal bytes.
/// Errors: kInvalidArgument for empty or equal names; kResourceLimit at 4 GiB or 65535 members.
Result<std::vector<uint8_t>> write_zip(std::span<const ZipInput> members);

}  // namespace ew::formats
