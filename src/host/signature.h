#pragma once
// Ed25519 signatures (RFC 8032) and their key files.

#include <array>
#include <string>

#include "base/result.h"
#include "host/bytes.h"
#include "host/file_system.h"

namespace ew::host {

using Signature = std::array<uint8_t, 64>;
using PublicKey = std::array<uint8_t, 32>;

/// Wiped when it goes.
class SigningKey {
 public:
  /// From the system's random source.
  static Result<SigningKey> create();
  ~SigningKey();
  SigningKey(SigningKey&& other) noexcept;
  SigningKey& operator=(SigningKey&&) = delete;

  const PublicKey& public_key() const { return public_; }
  Signature sign(Bytes message) const;

  /// A text of two lines: "edgewise signing key 1" and the seed in hexadecimal digits; readable by
  /// its owner only.
  Status save(FileSystem& files, const std::string& path) const;
  /// Errors: kNotFound; kInvalidData; kInvalidArgument if others than the owner may read it.
  static Result<SigningKey> load(const std::string& path);

 private:
  SigningKey() = default;
  void derive();

  std::array<uint8_t, 32> seed_{};
  std::array<uint8_t, 64> secret_{};
  PublicKey public_{};
};

/// Error kInvalidData if the signature is not this key's for this message.
Status verify_signature(const PublicKey& key, Bytes message, const Signature& signature);

/// "edgewise public key 1" and the key in hexadecimal digits.
Status save_public_key(FileSystem& files, const std::string& path, const PublicKey& key);
Result<PublicKey> load_public_key(const std::string& path);
/// The key as 64 hexadecimal digits, and back.
std::string public_key_text(const PublicKey& key);
Result<PublicKey> parse_public_key(std::string_view text);

}  // namespace ew::host
