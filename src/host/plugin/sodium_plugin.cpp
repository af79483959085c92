#include "host/plugin/sodium_plugin.h"

#include <sodium.h>

namespace ew::host {
namespace {

static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == 32);
static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == 24);
static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == 16);
static_assert(crypto_sign_SECRETKEYBYTES == 64 && crypto_sign_BYTES == 64);
static_assert(crypto_pwhash_STRBYTES == 128);
static_assert(sizeof(crypto_hash_sha256_state) == 104 && alignof(crypto_hash_sha256_state) <= 8);

bool initialise() { return sodium_init() >= 0; }

void random(uint8_t* out, size_t size) { randombytes_buf(out, size); }

void seal(uint8_t* out, const uint8_t* plain, size_t size, const uint8_t* associated,
          size_t associated_size, const uint8_t* nonce, const uint8_t* key) {
  crypto_aead_xchacha20poly1305_ietf_encrypt(out, nullptr, plain, size, associated, associated_size,
                                             nullptr, nonce, key);
}

bool open(uint8_t* out, const uint8_t* sealed, size_t size, const uint8_t* associated,
          size_t associated_size, const uint8_t* nonce, const uint8_t* key) {
  return crypto_aead_xchacha20poly1305_ietf_decrypt(out, nullptr, nullptr, sealed, size, associated,
                                                    associated_size, nonce, key) == 0;
}

void keyed_hash(uint8_t* out, const uint8_t* data, size_t size, const uint8_t* key) {
  crypto_generichash(out, 16, data, size, key, 32);
}

void sign_keys(uint8_t* public_key, uint8_t* secret_key, const uint8_t* seed) {
  crypto_sign_seed_keypair(public_key, secret_key, seed);
}

void sign(uint8_t* signature, const uint8_t* data, size_t size, const uint8_t* secret_key) {
  crypto_sign_detached(signature, nullptr, data, size, secret_key);
}

bool verify(const uint8_t* signature, const uint8_t* data, size_t size, const uint8_t* public_key) {
  return crypto_sign_verify_detached(signature, data, size, public_key) == 0;
}

// Tokens are 256 random bits, which no cost makes harder to guess; 4 MiB keep an agent small.
constexpr unsigned long long kHashPasses = 3;
constexpr size_t kHashBytes = size_t{4} << 20;

bool hash_password(char* out, const char* password, size_t size) {
  return crypto_pwhash_str_alg(out, password, size, kHashPasses, kHashBytes,
                               crypto_pwhash_ALG_ARGON2ID13) == 0;
}

bool verify_password(const char* hash, const char* password, size_t size) {
  return crypto_pwhash_str_verify(hash, password, size) == 0;
}

bool equal(const uint8_t* a, const uint8_t* b, size_t size) {
  return sodium_memcmp(a, b, size) == 0;
}

void wipe(void* data, size_t size) { sodium_memzero(data, size); }

void sha256_begin(void* state) {
  crypto_hash_sha256_init(static_cast<crypto_hash_sha256_state*>(state));
}

void sha256_add(void* state, const uint8_t* data, size_t size) {
  crypto_hash_sha256_update(static_cast<crypto_hash_sha256_state*>(state), data, size);
}

void sha256_end(void* state, uint8_t* out) {
  crypto_hash_sha256_final(static_cast<crypto_hash_sha256_state*>(state), out);
}

}  // namespace
}  // namespace ew::host

extern "C" __attribute__((visibility("default")))
const ew::host::SodiumPlugin edgewise_sodium_plugin;
const ew::host::SodiumPlugin edgewise_sodium_plugin = {
    ew::host::kSodiumPluginVersion,
    ew::host::initialise,
    ew::host::random,
    ew::host::seal,
    ew::host::open,
    ew::host::keyed_hash,
    ew::host::sign_keys,
    ew::host::sign,
    ew::host::verify,
    ew::host::hash_password,
    ew::host::verify_password,
    ew::host::equal,
    ew::host::wipe,
    ew::host::sha256_begin,
    ew::host::sha256_add,
    ew::host::sha256_end,
};
