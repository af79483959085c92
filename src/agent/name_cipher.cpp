#include "agent/name_cipher.h"

#include <algorithm>
#include <cstring>

#include "host/plugin/sodium_plugin.h"

namespace ew::agent {

Result<NameCipher> NameCipher::create(const host::SecretKey& key) {
  NameCipher cipher;
  EW_TRY(cipher.sodium_, host::sodium());
  cipher.key_ = key;
  return cipher;
}

NameCipher::FileNumber NameCipher::new_number() const {
  FileNumber number;
  sodium_->random(number.data(), number.size());
  return number;
}

NameCipher::FileNumber NameCipher::check_of(const FileNumber& file) const {
  FileNumber check;
  sodium_->keyed_hash(check.data(), file.data(), file.size(), key_.data());
  return check;
}

void NameCipher::apply(const FileNumber& file, uint64_t row, std::span<char> names) const {
  uint8_t nonce[24];
  std::ranges::copy(file, nonce);
  for (size_t i = 0; i < 8; ++i) nonce[16 + i] = static_cast<uint8_t>(row >> (8 * i));
  // Sealed zeros are the key stream.
  constexpr uint8_t kZeros[kMaxBytes] = {};
  uint8_t stream[kMaxBytes + 16];
  const size_t size = std::min(names.size(), kMaxBytes);
  sodium_->seal(stream, kZeros, size, nullptr, 0, nonce, key_.data());
  for (size_t i = 0; i < size; ++i) {
    names[i] = static_cast<char>(static_cast<uint8_t>(names[i]) ^ stream[i]);
  }
}

}  // namespace ew::agent
