#include "agent/bundle.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "agent/bytes_io.h"

namespace ew::agent {
namespace {

constexpr std::string_view kMagic =
    "\x89"
    "EWB\r\n\x1a\n";
constexpr uint32_t kVersion = 1;
constexpr size_t kStart = 16;  // magic, version, bytes of the manifest
constexpr size_t kSignatureBlock = 96;
constexpr size_t kMaxName = 40;
constexpr size_t kMaxPath = 200;
constexpr size_t kMaxParts = 8;
constexpr size_t kPiece = size_t{256} << 10;

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName && std::ranges::all_of(text, is_word_character);
}

/// What cannot be in a manifest, or "".
std::string fault_of(const BundleManifest& m) {
  const auto quoted = [](std::string_view text) {
    return is_bundle_path(text) ? str("'", text, "'") : std::string("one with other characters");
  };
  if (!is_word(m.name)) return "name: expected 1 to 40 letters, digits, '_' and '-'";
  if (m.version == 0) return "version: expected a number from 1 on, found 0";
  if (!m.target.empty() && !is_word(m.target)) {
    return "target: expected up to 40 letters, digits, '_' and '-'";
  }
  if (m.created_s < 0 || m.expires_s < 0) return "times: expected seconds since 1970";
  if (m.files.empty() || m.files.size() > kMaxBundleFiles) {
    return str("files: expected 1 to ", kMaxBundleFiles, ", found ", m.files.size());
  }
  std::vector<std::string_view> paths;
  uint64_t total = 0;
  for (const BundleFile& file : m.files) {
    if (!is_bundle_path(file.path)) {
      return str("file: expected a relative path of at most ", kMaxPath, " characters and ",
                 kMaxParts, " parts of letters, digits, '.', '_' and '-', found ",
                 quoted(file.path));
    }
    if (file.bytes > uint64_t{1} << 40 || (total += file.bytes) > uint64_t{1} << 40) {
      return "files: larger than 1 TiB";
    }
    paths.push_back(file.path);
  }
  std::ranges::sort(paths);
  for (size_t i = 0; i < paths.size(); ++i) {
    if (i > 0 && paths[i] == paths[i - 1]) return str("file: '", paths[i], "' is there twice");
    // "a" and "a/b": one name cannot be a file and a folder.
    const std::string folder = str(paths[i], "/");
    const auto below = std::ranges::lower_bound(paths, std::string_view(folder));
    if (below != paths.end() && below->starts_with(folder)) {
      return str("file: '", paths[i], "' is a file and a folder");
    }
  }
  if (std::ranges::find(paths, m.app) == paths.end()) {
    return str("app: expected one of the files, found ", quoted(m.app));
  }
  return "";
}

std::string encode_manifest(const BundleManifest& m) {
  ByteWriter out;
  out.put_text(m.name);
  out.put(m.version);
  out.put(m.created_s);
  out.put(m.expires_s);
  out.put_text(m.target);
  out.put_text(m.app);
  out.put(static_cast<uint32_t>(m.files.size()));
  for (const BundleFile& file : m.files) {
    out.put_text(file.path);
    out.put(file.bytes);
    for (const uint8_t byte : file.sha256) out.put(byte);
  }
  return out.take();
}

bool decode_manifest(ByteReader& in, BundleManifest& m) {
  m.name = in.get_text();
  m.version = in.get<uint64_t>();
  m.created_s = in.get<int64_t>();
  m.expires_s = in.get<int64_t>();
  m.target = in.get_text();
  m.app = in.get_text();
  const size_t count = in.get_count(sizeof(uint32_t) + sizeof(uint64_t) + 32);
  for (size_t i = 0; i < count && in.ok(); ++i) {
    BundleFile file;
    file.path = in.get_text();
    file.bytes = in.get<uint64_t>();
    for (uint8_t& byte : file.sha256) byte = in.get<uint8_t>();
    m.files.push_back(std::move(file));
  }
  return in.ok() && in.rest().empty();
}

}  // namespace

bool is_bundle_path(std::string_view path) {
  if (path.empty() || path.size() > kMaxPath) return false;
  const std::vector<std::string> parts = split(path, '/');
  return parts.size() <= kMaxParts && std::ranges::all_of(parts, [](const std::string& part) {
           return !part.empty() && part[0] != '.' && std::ranges::all_of(part, [](char c) {
             return is_word_character(c) || c == '.';
           });
         });
}

Result<std::vector<uint8_t>> encode_bundle_head(const BundleManifest& manifest,
                                                const host::SigningKey& key) {
  if (const std::string fault = fault_of(manifest); !fault.empty()) return invalid_argument(fault);
  const std::string body = encode_manifest(manifest);
  if (kStart + body.size() + kSignatureBlock > kMaxBundleHead) {
    return invalid_argument("files: their names are longer than ", kMaxBundleHead, " bytes");
  }
  ByteWriter out;
  for (const char c : kMagic) out.put(c);
  out.put(kVersion);
  out.put(static_cast<uint32_t>(body.size()));
  const std::string signed_text = out.take() + body;
  const host::Signature signature = key.sign(host::as_bytes(signed_text));
  std::vector<uint8_t> head(signed_text.begin(), signed_text.end());
  head.insert(head.end(), key.public_key().begin(), key.public_key().end());
  head.insert(head.end(), signature.begin(), signature.end());
  return head;
}

Result<BundleHead> parse_bundle_head(host::Bytes front, uint64_t size) {
  ByteReader in(host::as_text(front));
  if (front.size() < kStart || !host::as_text(front).starts_with(kMagic)) {
    return invalid_data("expected a bundle (edgewise bundle create), found another file");
  }
  in = ByteReader(host::as_text(front.subspan(kMagic.size())));
  const auto version = in.get<uint32_t>();
  if (version != kVersion) {
    return unsupported("version ", version, " of the bundle format; this program reads ", kVersion);
  }
  const size_t manifest_bytes = in.get<uint32_t>();
  const size_t head_bytes = kStart + manifest_bytes + kSignatureBlock;
  if (head_bytes > kMaxBundleHead) {
    return make_error(ErrorCode::kResourceLimit, "a manifest of ", manifest_bytes,
                      " bytes, above the limit of ", kMaxBundleHead - kStart - kSignatureBlock);
  }
  if (front.size() < head_bytes) return invalid_data("ends within its manifest");
  BundleHead head;
  head.signed_bytes = kStart + manifest_bytes;
  head.head.assign(front.begin(), front.begin() + static_cast<std::ptrdiff_t>(head_bytes));
  ByteReader body(host::as_text(front.subspan(kStart, manifest_bytes)));
  if (!decode_manifest(body, head.manifest)) return invalid_data("its manifest is damaged");
  if (const std::string fault = fault_of(head.manifest); !fault.empty()) return invalid_data(fault);
  const uint8_t* block = &head.head[head.signed_bytes];
  std::copy_n(block, head.signer.size(), head.signer.begin());
  std::copy_n(block + head.signer.size(), head.signature.size(), head.signature.begin());
  uint64_t expected = head_bytes;
  for (const BundleFile& file : head.manifest.files) expected += file.bytes;
  if (expected != size) {
    return invalid_data("expected ", expected, " bytes by its manifest, found ", size);
  }
  return head;
}

Result<BundleHead> read_bundle_head(const host::File& file) {
  EW_TRY(const uint64_t size, file.size());
  std::vector<uint8_t> front(static_cast<size_t>(std::min<uint64_t>(size, kMaxBundleHead)));
  EW_TRY(const size_t read, file.pread(0, front));
  front.resize(read);
  return parse_bundle_head(front, size);
}

Status verify_bundle(const BundleHead& head, const std::vector<host::PublicKey>& trusted) {
  if (std::ranges::find(trusted, head.signer) == trusted.end()) {
    return invalid_data("signed by the key ", host::hex_text(head.signer),
                        ", which is not a trusted one");
  }
  return host::verify_signature(head.signer, host::Bytes(head.head).first(head.signed_bytes),
                                head.signature);
}

Status read_bundle_files(
    const host::File& bundle, const BundleHead& head,
    const std::function<Status(const BundleFile& file, host::Bytes piece)>& take) {
  std::vector<uint8_t> buffer(kPiece);
  uint64_t at = head.head.size();
  for (const BundleFile& file : head.manifest.files) {
    EW_TRY(host::Sha256 hash, host::Sha256::create());
    for (uint64_t left = file.bytes;;) {
      const auto want = static_cast<size_t>(std::min<uint64_t>(left, buffer.size()));
      const host::MutableBytes piece(buffer.data(), want);
      EW_TRY(const size_t read, bundle.pread(at, piece));
      if (read != want) return invalid_data("ends within '", file.path, "'");
      hash.update(piece);
      // Also once for an empty file.
      EW_TRY_VOID(take(file, piece));
      at += want;
      left -= want;
      if (left == 0) break;
    }
    if (hash.finish() != file.sha256) {
      return invalid_data("the content of '", file.path, "' is not what was signed");
    }
  }
  return {};
}

Status MemoryFile::append(std::span<const host::Bytes>) {
  return make_error(ErrorCode::kIo, "bytes in memory cannot be written");
}

Result<size_t> MemoryFile::pread(uint64_t offset, host::MutableBytes out) const {
  if (offset >= bytes_.size()) return size_t{0};
  const size_t count = std::min<size_t>(out.size(), bytes_.size() - static_cast<size_t>(offset));
  std::memcpy(out.data(), bytes_.data() + offset, count);
  return count;
}

Status MemoryFile::truncate(uint64_t) {
  return make_error(ErrorCode::kIo, "bytes in memory cannot be written");
}

}  // namespace ew::agent
