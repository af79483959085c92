#pragma once
// Hides the names in the rows of a ledger file from who has not the key.

#include <array>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "host/plugins.h"
#include "host/secret_key.h"

namespace ew::agent {

/// XChaCha20 under a nonce of the file's random number and the row's. Names keep their length, and
/// have no tag: who can write the file can spoil them. A row's number must not stand for two names
/// in a file of one number.
class NameCipher {
 public:
  using FileNumber = std::array<uint8_t, 16>;
  static constexpr size_t kMaxBytes = 128;

  /// Errors: as host::sodium().
  static Result<NameCipher> create(const host::SecretKey& key);
  /// A new random number for a file.
  FileNumber new_number() const;
  /// By which a file tells whether its key is this one.
  FileNumber check_of(const FileNumber& file) const;
  /// Hides or shows: it is its own inverse. At most kMaxBytes.
  void apply(const FileNumber& file, uint64_t row, std::span<char> names) const;

 private:
  const host::SodiumPlugin* sodium_ = nullptr;
  host::SecretKey key_{};
};

}  // namespace ew::agent
