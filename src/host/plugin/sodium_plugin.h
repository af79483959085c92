#pragma once
// What libedgewise_sodium.so offers: libsodium, loaded only by those who encrypt, sign or check
// tokens. Sizes are libsodium's: keys 32 bytes, nonces 24, tags 16, signatures 64.

#include <cstddef>
#include <cstdint>

namespace ew::host {

constexpr uint32_t kSodiumPluginVersion = 2;
constexpr const char* kSodiumPluginSymbol = "edgewise_sodium_plugin";

struct SodiumPlugin {
  uint32_t version;
  bool (*initialise)();
  void (*random)(uint8_t* out, size_t size);
  /// XChaCha20-Poly1305 (IETF). `out` gets `size` + 16 bytes.
  void (*seal)(uint8_t* out, const uint8_t* plain, size_t size, const uint8_t* associated,
               size_t associated_size, const uint8_t* nonce, const uint8_t* key);
  /// `size` counts the tag; `out` gets size - 16 bytes. False if anything was changed.
  bool (*open)(uint8_t* out, const uint8_t* sealed, size_t size, const uint8_t* associated,
               size_t associated_size, const uint8_t* nonce, const uint8_t* key);
  /// BLAKE2b with a key of 32 bytes; 16 bytes out.
  void (*keyed_hash)(uint8_t* out, const uint8_t* data, size_t size, const uint8_t* key);
  /// Ed25519 (RFC 8032). The secret key of 64 bytes is seed and public key.
  void (*sign_keys)(uint8_t* public_key, uint8_t* secret_key, const uint8_t* seed);
  void (*sign)(uint8_t* signature, const uint8_t* data, size_t size, const uint8_t* secret_key);
  bool (*verify)(const uint8_t* signature, const uint8_t* data, size_t size,
                 const uint8_t* public_key);
  /// argon2id with 3 passes over 4 MiB; `out` is 128 characters, ended by zero.
  bool (*hash_password)(char* out, const char* password, size_t size);
  bool (*verify_password)(const char* hash, const char* password, size_t size);
  /// Takes the same time whatever differs.
  bool (*equal)(const uint8_t* a, const uint8_t* b, size_t size);
  void (*wipe)(void* data, size_t size);
  /// SHA-256; `state` is 104 bytes at a multiple of 8, `out` gets 32.
  void (*sha256_begin)(void* state);
  void (*sha256_add)(void* state, const uint8_t* data, size_t size);
  void (*sha256_end)(void* state, uint8_t* out);
};

}  // namespace ew::host
