#include "host/signature.h"

#include <sys/stat.h>

#include <algorithm>
#include <optional>

#include "base/file.h"
#include "host/plugin/sodium_plugin.h"
#include "host/plugins.h"

namespace ew::host {
namespace {

constexpr const char* kSecretTitle = "edgewise signing key 1";
constexpr const char* kPublicTitle = "edgewise public key 1";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string hex(Bytes bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string out;
  for (const uint8_t byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::optional<std::array<uint8_t, 32>> parse_hex(std::string_view text) {
  std::array<uint8_t, 32> out{};
  if (text.size() != 2 * out.size()) return std::nullopt;
  for (size_t i = 0; i < out.size(); ++i) {
    const int high = hex_digit(text[2 * i]);
    const int low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out[i] = static_cast<uint8_t>(high * 16 + low);
  }
  return out;
}

Result<std::array<uint8_t, 32>> load_key(const std::string& path, const char* title) {
  EW_TRY(const std::vector<uint8_t> content, read_file(path, 4096));
  const std::vector<std::string> lines = split(as_text(content), '\n');
  const auto key = lines.size() < 2 || lines[0] != title ? std::nullopt : parse_hex(lines[1]);
  if (!key) {
    return invalid_data(path, ": expected '", title, "' and a line of 64 hexadecimal digits");
  }
  return *key;
}

}  // namespace

Result<SigningKey> SigningKey::create() {
  EW_TRY(const SodiumPlugin* plugin, sodium());
  SigningKey key;
  plugin->random(key.seed_.data(), key.seed_.size());
  key.derive();
  return key;
}

SigningKey::SigningKey(SigningKey&& other) noexcept
    : seed_(other.seed_), secret_(other.secret_), public_(other.public_) {}

SigningKey::~SigningKey() {
  const Result<const SodiumPlugin*> plugin = sodium();
  if (!plugin.ok()) return;
  (*plugin)->wipe(seed_.data(), seed_.size());
  (*plugin)->wipe(secret_.data(), secret_.size());
}

void SigningKey::derive() {
  const Result<const SodiumPlugin*> plugin = sodium();
  if (plugin.ok()) (*plugin)->sign_keys(public_.data(), secret_.data(), seed_.data());
}

Signature SigningKey::sign(Bytes message) const {
  Signature signature{};
  const Result<const SodiumPlugin*> plugin = sodium();
  if (plugin.ok()) {
    (*plugin)->sign(signature.data(), message.data(), message.size(), secret_.data());
  }
  return signature;
}

Status SigningKey::save(FileSystem& files, const std::string& path) const {
  // The file system makes files for their owner only.
  return replace_file(files, path, as_bytes(str(kSecretTitle, "\n", hex(seed_), "\n")));
}

Result<SigningKey> SigningKey::load(const std::string& path) {
  EW_TRY([[maybe_unused]] const SodiumPlugin* plugin, sodium());
  EW_TRY(const auto seed, load_key(path, kSecretTitle));
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & 077) != 0) {
    return invalid_argument(path, ": others than its owner may read this key; chmod 600 it");
  }
  SigningKey key;
  key.seed_ = seed;
  key.derive();
  return key;
}

Status verify_signature(const PublicKey& key, Bytes message, const Signature& signature) {
  EW_TRY(const SodiumPlugin* plugin, sodium());
  if (!plugin->verify(signature.data(), message.data(), message.size(), key.data())) {
    return invalid_data("the signature is not by the key ", public_key_text(key));
  }
  return {};
}

Status save_public_key(FileSystem& files, const std::string& path, const PublicKey& key) {
  return replace_file(files, path, as_bytes(str(kPublicTitle, "\n", hex(key), "\n")));
}

Result<PublicKey> load_public_key(const std::string& path) { return load_key(path, kPublicTitle); }

std::string public_key_text(const PublicKey& key) { return hex(key); }

Result<PublicKey> parse_public_key(std::string_view text) {
  const auto key = parse_hex(text);
  if (!key) return invalid_data("expected a public key of 64 hexadecimal digits");
  return *key;
}

}  // namespace ew::host
