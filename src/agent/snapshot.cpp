#include "agent/snapshot.h"

#include "agent/bytes_io.h"
#include "base/crc32c.h"
#include "host/plugin/sodium_plugin.h"
#include "host/plugins.h"

namespace ew::agent {
namespace {

constexpr const char* kOlder = ".old";
constexpr std::string_view kMagic = "EWSNAP01";
constexpr std::string_view kSealedMagic = "EWSNAPX1";  // then nonce, sealed file, tag
constexpr size_t kNonceBytes = 24;
constexpr size_t kTagBytes = 16;

Result<std::vector<uint8_t>> seal(std::string_view plain, const host::SecretKey& key) {
  EW_TRY(const host::SodiumPlugin* plugin, host::sodium());
  const host::Bytes magic = host::as_bytes(kSealedMagic);
  std::vector<uint8_t> out(magic.begin(), magic.end());
  out.resize(magic.size() + kNonceBytes + plain.size() + kTagBytes);
  uint8_t* nonce = out.data() + magic.size();
  plugin->random(nonce, kNonceBytes);
  plugin->seal(nonce + kNonceBytes, host::as_bytes(plain).data(), plain.size(), magic.data(),
               magic.size(), nonce, key.data());
  return out;
}

/// The file's plain form.
Result<std::vector<uint8_t>> unseal(const std::vector<uint8_t>& bytes, const std::string& path,
                                    const StorageKey& key) {
  const host::Bytes magic = host::as_bytes(kSealedMagic);
  const bool is_sealed = host::as_text(bytes).starts_with(kSealedMagic);
  if (is_sealed != key.has_value()) {
    return invalid_argument(path, is_sealed ? ": is encrypted; the app file has no `encryption:`"
                                            : ": was written without `encryption:`; let the app "
                                              "finish without it, then `edgewise erase`");
  }
  if (!is_sealed) return bytes;
  const size_t head = magic.size() + kNonceBytes;
  if (bytes.size() < head + kTagBytes) return invalid_data(path, ": damaged");
  EW_TRY(const host::SodiumPlugin* plugin, host::sodium());
  std::vector<uint8_t> plain(bytes.size() - head - kTagBytes);
  if (!plugin->open(plain.data(), bytes.data() + head, bytes.size() - head, magic.data(),
                    magic.size(), bytes.data() + magic.size(), key->data())) {
    return invalid_argument(path, ": damaged, or the key of `encryption:` is another one");
  }
  return plain;
}

}  // namespace

Status write_snapshot(host::FileSystem& files, const std::string& path, const Snapshot& snapshot,
                      const StorageKey& key) {
  ByteWriter out;
  for (const char c : kMagic) out.put(c);
  out.put(snapshot.journal_sequence);
  out.put_text(snapshot.state);
  out.put(crc32c(host::as_bytes(out.bytes())));
  const Status kept = files.rename(path, path + kOlder);
  if (!kept.ok() && kept.error().code != ErrorCode::kNotFound) return kept;
  if (!key) return host::replace_file(files, path, host::as_bytes(out.bytes()));
  EW_TRY(const auto sealed, seal(out.bytes(), *key));
  return host::replace_file(files, path, sealed);
}

Result<Snapshot> read_snapshot(host::FileSystem& files, const std::string& path,
                               const StorageKey& key) {
  const auto stored = host::read_whole_file(files, path, uint64_t{1} << 31);
  if (!stored.ok()) {
    if (stored.error().code == ErrorCode::kNotFound) return Snapshot{};
    return stored.error();
  }
  EW_TRY(const auto bytes, unseal(*stored, path, key));
  const std::string_view text = host::as_text(bytes);
  const auto damaged = [&] {
    return invalid_data(path, ": damaged; remove it to start from the journal alone");
  };
  if (text.size() < kMagic.size() + 16 || text.substr(0, kMagic.size()) != kMagic) return damaged();
  const std::string_view body = text.substr(0, text.size() - 4);
  if (ByteReader(text.substr(body.size())).get<uint32_t>() != crc32c(host::as_bytes(body))) {
    return damaged();
  }
  ByteReader in(body.substr(kMagic.size()));
  Snapshot snapshot;
  snapshot.journal_sequence = in.get<uint64_t>();
  snapshot.state = std::string(in.get_text());
  if (!in.ok()) return damaged();
  return snapshot;
}

Result<Snapshot> read_newest_snapshot(host::FileSystem& files, const std::string& path,
                                      const StorageKey& key, std::string& finding) {
  Result<Snapshot> newest = read_snapshot(files, path, key);
  if (newest.ok() && !newest->state.empty()) return newest;
  // A crash between the two steps of writing leaves only the older one.
  Result<Snapshot> older = read_snapshot(files, path + kOlder, key);
  if (newest.ok()) return older;
  if (!older.ok() || older->state.empty()) return newest;
  finding = newest.error().message + "; the one before it is used";
  EW_TRY_VOID(files.rename(path, path + ".damaged"));
  return older;
}

Status remove_snapshots(host::FileSystem& files, const std::string& path) {
  EW_TRY_VOID(files.remove(path));
  return files.remove(path + kOlder);
}

}  // namespace ew::agent
