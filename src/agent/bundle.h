#pragma once
// Bundles: an app file with its models in one file, named, numbered and signed
// (docs/formats/bundle.md). The bytes are hostile until a key has vouched for them.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "host/file_system.h"
#include "host/signature.h"

namespace ew::agent {

/// Head of a bundle: all but the content of its files. Larger ones are refused.
inline constexpr size_t kMaxBundleHead = size_t{1} << 20;
inline constexpr size_t kMaxBundleFiles = 1024;

struct BundleFile {
  std::string path;  ///< is_bundle_path()
  uint64_t bytes = 0;
  host::Sha256Digest sha256{};
};

struct BundleManifest {
  std::string name;               ///< of the app
  uint64_t version = 0;           ///< at least 1; a device never goes back
  int64_t created_s = 0;          ///< since 1970
  int64_t expires_s = 0;          ///< not applied from then on; 0: never
  std::string target;             ///< class of device; "" for any
  std::string app;                ///< path of the app file
  std::vector<BundleFile> files;  ///< in the order of their content
};

struct BundleHead {
  BundleManifest manifest;
  host::PublicKey signer{};
  host::Signature signature{};
  std::vector<uint8_t> head;  ///< whose first signed_bytes are signed
  size_t signed_bytes = 0;
};

/// Relative, in parts of letters, digits, '.', '_' and '-' that do not begin with '.'; at most 200
/// characters and 8 parts. So nothing leaves its folder, and no system reads a name in its own way.
bool is_bundle_path(std::string_view path);

/// The head with its signature. Errors: kInvalidArgument says what of the manifest cannot be.
Result<std::vector<uint8_t>> encode_bundle_head(const BundleManifest& manifest,
                                                const host::SigningKey& key);

/// Reads the head from the front of a bundle of `size` bytes, and checks everything but signature
/// and content: names, sizes, that the files fill the rest exactly. Errors: kInvalidData,
/// kResourceLimit, kUnsupported for another version.
Result<BundleHead> parse_bundle_head(host::Bytes front, uint64_t size);
Result<BundleHead> read_bundle_head(const host::File& file);

/// Error kInvalidData unless one of the keys has signed the head.
Status verify_bundle(const BundleHead& head, const std::vector<host::PublicKey>& trusted);

/// Calls take(file, piece) with the content of each file, in order, and behind it checks its
/// SHA-256: what was taken before an error must not be used. Errors: kInvalidData, kIo, take()'s.
Status read_bundle_files(
    const host::File& bundle, const BundleHead& head,
    const std::function<Status(const BundleFile& file, host::Bytes piece)>& take);

/// Bytes in memory as a file to read.
class MemoryFile final : public host::File {
 public:
  explicit MemoryFile(host::Bytes bytes) : bytes_(bytes) {}
  Status append(std::span<const host::Bytes> parts) override;
  Result<size_t> pread(uint64_t offset, host::MutableBytes out) const override;
  Status sync_data() override { return {}; }
  Status truncate(uint64_t size) override;
  Result<uint64_t> size() const override { return bytes_.size(); }

 private:
  host::Bytes bytes_;
};

}  // namespace ew::agent
