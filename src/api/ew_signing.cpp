#include "api/ew_signing.h"

#include <algorithm>
#include <array>

#include "base/file.h"
#include "host/plugin/sodium_plugin.h"
#include "host/plugins.h"

namespace ew::api {
namespace {

using Key = std::array<uint8_t, 32>;

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

Result<Key> read_key(const std::string& path, const std::string& kind,
                     std::span<const uint8_t> start) {
  constexpr int64_t kMostBytes = 65536;
  EW_TRY(const std::vector<uint8_t> file, read_file(path, kMostBytes));
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  const std::string first = "-----BEGIN " + kind + "-----";
  const size_t begin = text.find(first);
  const size_t end = text.find("-----END " + kind + "-----");
  Key key{};
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

Result<ir::Signer> signer_of(const std::string& key_file) {
  EW_TRY(const Key seed, read_key(key_file, "PRIVATE KEY", kPrivateStart));
  EW_TRY(const host::SodiumPlugin* sodium, host::sodium());
  return ir::Signer([seed, sodium](std::span<const uint8_t> message) -> Result<ir::EwSignature> {
    ir::EwSignature result;
    std::array<uint8_t, 64> secret{};
    sodium->sign_keys(result.public_key.data(), secret.data(), seed.data());
    sodium->sign(result.signature.data(), message.data(), message.size(), secret.data());
    sodium->wipe(secret.data(), secret.size());
    return result;
  });
}

Result<ir::Verifier> verifier_of(const std::string& key_file) {
  EW_TRY(const Key key, read_key(key_file, "PUBLIC KEY", kPublicStart));
  EW_TRY(const host::SodiumPlugin* sodium, host::sodium());
  return ir::Verifier([key, sodium, key_file](std::span<const uint8_t> message,
                                              const ir::EwSignature* signature) -> Status {
    if (signature == nullptr) {
      return invalid_data("expected a signature by ", key_file, ", found none");
    }
    if (signature->public_key != key) {
      return invalid_data("expected a signature by ", key_file, ", found one by another key");
    }
    if (!sodium->verify(signature->signature.data(), message.data(), message.size(), key.data())) {
      return invalid_data("the signature does not belong to this content");
    }
    return {};
  });
}

}  // namespace ew::api
