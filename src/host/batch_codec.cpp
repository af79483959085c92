#include <algorithm>

#include "base/crc32c.h"
#include "host/log_format.h"
#include "host/plugin/sodium_plugin.h"
#include "host/plugin/zstd_plugin.h"
#include "host/plugins.h"

namespace ew::host {
namespace {

constexpr size_t kNonceBytes = 24;
constexpr size_t kTagBytes = 16;

/// What is authenticated beside the content: whose batch this is, where it stands and what it is.
std::array<uint8_t, 44> associated_data(const BatchHeader& header, const StreamId& stream) {
  std::array<uint8_t, 44> out{};
  std::copy(stream.begin(), stream.end(), out.begin());
  store_le(&out[16], header.first_sequence);
  store_le(&out[24], header.time_ms);
  store_le(&out[32], header.count);
  store_le(&out[36], header.plain_bytes);
  store_le(&out[40], header.flags);
  return out;
}

size_t total(std::span<const Bytes> parts) {
  size_t size = 0;
  for (const Bytes part : parts) size += part.size();
  return size;
}

void join(std::span<const Bytes> parts, std::vector<uint8_t>& out) {
  out.clear();
  for (const Bytes part : parts) out.insert(out.end(), part.begin(), part.end());
}

}  // namespace

Result<BatchCodec> BatchCodec::create(int compression_level, const std::optional<SecretKey>& key) {
  BatchCodec codec;
  codec.compression_level_ = compression_level;
  codec.key_ = key;
  if (compression_level != 0) {
    EW_TRY(codec.zstd_, zstd());
  }
  if (key) {
    EW_TRY(codec.sodium_, sodium());
  }
  return codec;
}

uint64_t BatchCodec::key_check(const StreamId& stream) const {
  if (!key_) return 0;
  uint8_t hash[16];
  sodium_->keyed_hash(hash, stream.data(), stream.size(), key_->data());
  return load_le<uint64_t>(hash) | 1;
}

Result<std::vector<Bytes>> BatchCodec::encode(BatchHeader& header, const StreamId& stream,
                                              std::span<const Bytes> parts) {
  std::vector<Bytes> out(parts.begin(), parts.end());
  header.flags = 0;
  header.plain_bytes = static_cast<uint32_t>(total(out));
  if (compression_level_ != 0) {
    join(out, sealed_);  // a buffer that is free until encryption needs it
    compressed_.resize(zstd_->bound(sealed_.size()));
    const size_t size = zstd_->compress(compressed_.data(), compressed_.size(), sealed_.data(),
                                        sealed_.size(), compression_level_);
    if (size > 0 && size < sealed_.size()) {
      compressed_.resize(size);
      out = {Bytes(compressed_)};
      header.flags |= kBatchCompressed;
    }
  }
  if (key_) {
    header.flags |= kBatchEncrypted;
    if ((header.flags & kBatchCompressed) == 0) {
      join(parts, compressed_);
    }
    sealed_.resize(kNonceBytes + compressed_.size() + kTagBytes);
    sodium_->random(sealed_.data(), kNonceBytes);
    const auto associated = associated_data(header, stream);
    sodium_->seal(&sealed_[kNonceBytes], compressed_.data(), compressed_.size(), associated.data(),
                  associated.size(), sealed_.data(), key_->data());
    out = {Bytes(sealed_)};
  }
  header.stored_bytes = static_cast<uint32_t>(total(out));
  return out;
}

Result<Bytes> BatchCodec::decode(const BatchHeader& header, const StreamId& stream, Bytes stored) {
  const bool is_encrypted = (header.flags & kBatchEncrypted) != 0;
  // Otherwise who can write the file could slip in what the key's owner never wrote.
  if (key_ && !is_encrypted) return invalid_data("a batch of an encrypted log is not encrypted");
  if (is_encrypted) {
    if (!key_) {
      return invalid_argument("the log is encrypted; name its key");
    }
    if (stored.size() < kNonceBytes + kTagBytes)
      return invalid_data("an encrypted batch ends early");
    sealed_.resize(stored.size() - kNonceBytes - kTagBytes);
    const auto associated = associated_data(header, stream);
    if (!sodium_->open(sealed_.data(), &stored[kNonceBytes], stored.size() - kNonceBytes,
                       associated.data(), associated.size(), stored.data(), key_->data())) {
      return invalid_data("an encrypted batch was changed");
    }
    stored = sealed_;
  }
  if ((header.flags & kBatchCompressed) != 0) {
    if (zstd_ == nullptr) {
      EW_TRY(zstd_, zstd());
    }
    compressed_.resize(header.plain_bytes);
    if (!zstd_->decompress(compressed_.data(), compressed_.size(), stored.data(), stored.size())) {
      return invalid_data("a compressed batch is damaged");
    }
    stored = compressed_;
  }
  if (stored.size() != header.plain_bytes) return invalid_data("a batch has another size");
  return stored;
}

}  // namespace ew::host
