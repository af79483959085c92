#include "host/signature.h"

#include <algorithm>
#include <vector>

#include "base/file.h"
#include "host/plugin/sodium_plugin.h"
#include "host/plugins.h"

namespace ew::host {
namespace {

// DER of both kinds is a fixed beginning and the 32 bytes of the key (RFC 8410, section 10).
constexpr std::array<uint8_t, 16> kPrivateStart{0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                                0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
constexpr std::array<uint8_t, 12> kPublicStart{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                               0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

// Base64 without checks of its padding: what comes out has to match a key byte by byte anyway.
std::vector<uint8_t> from_base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<uint8_t> bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) continue;  // line ends and padding
    bits = (bits << 6) | static_cast<uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<uint8_t>(bits >> count));
  }
  return bytes;
}

Result<std::array<uint8_t, 32>> read_key(const std::string& path, const std::string& kind,
                                         Bytes start) {
  constexpr int64_t kMostBytes = 65536;
  EW_TRY(const std::vector<uint8_t> file, read_file(path, kMostBytes));
  const std::string_view text = as_text(file);
  const std::string first = "-----BEGIN " + kind + "-----";
  const size_t begin = text.find(first);
  const size_t end = text.find("-----END " + kind + "-----");
  std::array<uint8_t, 32> key{};
  if (begin != std::string_view::npos && end != std::string_view::npos && begin < end) {
    const size_t body = begin + first.size();
    const std::vector<uint8_t> der = from_base64(text.substr(body, end - body));
    if (der.size() == start.size() + key.size() &&
        std::equal(start.begin(), start.end(), der.begin())) {
      std::copy_n(der.begin() + static_cast<std::ptrdiff_t>(start.size()), key.size(), key.begin());
      return key;
    }
  }
  return invalid_data(path, ": expected an Ed25519 ", kind == "PUBLIC KEY" ? "public" : "private",
                      " key in PEM (openssl genpkey -algorithm ed25519)");
}

}  // namespace

Result<SigningKey> SigningKey::load(const std::string& path) {
  EW_TRY(auto seed, read_key(path, "PRIVATE KEY", kPrivateStart));
  EW_TRY(const SodiumPlugin* plugin, sodium());
  SigningKey key;
  plugin->sign_keys(key.public_.data(), key.secret_.data(), seed.data());
  plugin->wipe(seed.data(), seed.size());
  return key;
}

SigningKey::SigningKey(SigningKey&& other) noexcept
    : secret_(other.secret_), public_(other.public_) {}

SigningKey::~SigningKey() {
  const Result<const SodiumPlugin*> plugin = sodium();
  if (plugin.ok()) (*plugin)->wipe(secret_.data(), secret_.size());
}

Signature SigningKey::sign(Bytes message) const {
  Signature signature{};
  const Result<const SodiumPlugin*> plugin = sodium();
  if (plugin.ok()) {
    (*plugin)->sign(signature.data(), message.data(), message.size(), secret_.data());
  }
  return signature;
}

Status verify_signature(const PublicKey& key, Bytes message, const Signature& signature) {
  EW_TRY(const SodiumPlugin* plugin, sodium());
  if (!plugin->verify(signature.data(), message.data(), message.size(), key.data())) {
    return invalid_data("the signature does not belong to this content");
  }
  return {};
}

Result<PublicKey> load_public_key(const std::string& path) {
  return read_key(path, "PUBLIC KEY", kPublicStart);
}

std::string hex_text(std::span<const uint8_t, 32> bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string out;
  for (const uint8_t byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

Result<Sha256> Sha256::create() {
  EW_TRY(const SodiumPlugin* plugin, sodium());
  Sha256 hash(plugin);
  plugin->sha256_begin(hash.state_.data());
  return hash;
}

void Sha256::update(Bytes bytes) { plugin_->sha256_add(state_.data(), bytes.data(), bytes.size()); }

Sha256Digest Sha256::finish() {
  Sha256Digest digest{};
  plugin_->sha256_end(state_.data(), digest.data());
  return digest;
}

}  // namespace ew::host
