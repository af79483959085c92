#pragma once
// Ed25519 signatures (RFC 8032), their key files as `openssl genpkey -algorithm ed25519` writes
// them, and SHA-256.

#include <array>
#include <span>
#include <string>

#include "base/result.h"
#include "host/bytes.h"

namespace ew::host {

using Signature = std::array<uint8_t, 64>;
using PublicKey = std::array<uint8_t, 32>;
using Sha256Digest = std::array<uint8_t, 32>;

/// Wiped when it goes.
class SigningKey {
 public:
  /// The private key in a PEM file (PKCS #8, RFC 8410). Errors: those of read_file(); kInvalidData
  /// for another file; kNotFound without the plug-in that holds libsodium.
  static Result<SigningKey> load(const std::string& path);
  ~SigningKey();
  SigningKey(SigningKey&& other) noexcept;
  SigningKey& operator=(SigningKey&&) = delete;

  const PublicKey& public_key() const { return public_; }
  Signature sign(Bytes message) const;

 private:
  SigningKey() = default;

  std::array<uint8_t, 64> secret_{};
  PublicKey public_{};
};

/// Error kInvalidData if the signature is not this key's for this message.
Status verify_signature(const PublicKey& key, Bytes message, const Signature& signature);

/// The public key in a PEM file (SubjectPublicKeyInfo, RFC 8410). Errors as SigningKey::load().
Result<PublicKey> load_public_key(const std::string& path);

/// 64 hexadecimal digits.
std::string hex_text(std::span<const uint8_t, 32> bytes);

/// SHA-256 (FIPS 180-4) of bytes that come in pieces.
class Sha256 {
 public:
  /// Error kNotFound without the plug-in that holds libsodium.
  static Result<Sha256> create();
  void update(Bytes bytes);
  /// To be called once.
  Sha256Digest finish();

 private:
  explicit Sha256(const struct SodiumPlugin* plugin) : plugin_(plugin) {}

  const struct SodiumPlugin* plugin_;
  alignas(8) std::array<uint8_t, 128> state_{};
};

}  // namespace ew::host
