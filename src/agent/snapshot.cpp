#include "agent/snapshot.h"

#include "agent/bytes_io.h"
#include "base/crc32c.h"

namespace ew::agent {
namespace {

constexpr std::string_view kMagic = "EWSNAP01";

}  // namespace

Status write_snapshot(host::FileSystem& files, const std::string& path, const Snapshot& snapshot) {
  ByteWriter out;
  for (const char c : kMagic) out.put(c);
  out.put(snapshot.journal_sequence);
  out.put_text(snapshot.state);
  out.put(crc32c(host::as_bytes(out.bytes())));
  return host::replace_file(files, path, host::as_bytes(out.bytes()));
}

Result<Snapshot> read_snapshot(host::FileSystem& files, const std::string& path) {
  const auto bytes = host::read_whole_file(files, path, uint64_t{1} << 31);
  if (!bytes.ok()) {
    if (bytes.error().code == ErrorCode::kNotFound) return Snapshot{};
    return bytes.error();
  }
  const std::string_view text = host::as_text(*bytes);
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

}  // namespace ew::agent
