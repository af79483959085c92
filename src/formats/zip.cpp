#include "formats/zip.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <set>

namespace ew::formats {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr size_t kLocalSize = 30;
constexpr size_t kCentralSize = 46;
constexpr size_t kEndSize = 22;
constexpr uint16_t kStored = 0;
constexpr uint16_t kDeflated = 8;
constexpr uint16_t kFlagUtf8 = 0x0800;
constexpr uint16_t kDate1980 = 0x0021;  // 1980-01-01, the first that DOS knows
constexpr int64_t kMostDeflate = 1032;  // deflate cannot shrink further (zlib manual)

template <typename T>
T load(std::span<const uint8_t> bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

template <typename... Values>
void store(std::vector<uint8_t>& out, Values... values) {
  const auto add = [&](auto value) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
    out.insert(out.end(), bytes, bytes + sizeof(value));
  };
  (add(values), ...);
}

/// Offset of the end record, which a comment of up to 64 KB may follow.
Result<size_t> find_end(std::span<const uint8_t> bytes) {
  if (bytes.size() >= kEndSize) {
    const size_t last = bytes.size() - kEndSize;
    for (size_t back = 0; back <= std::min<size_t>(last, 0xFFFF); ++back) {
      if (load<uint32_t>(bytes, last - back) == kEndSignature &&
          load<uint16_t>(bytes, last - back + 20) == back) {
        return last - back;
      }
    }
  }
  return invalid_data("expected a ZIP archive, found no end record in ", bytes.size(), " bytes");
}

struct Directory {
  size_t offset;
  size_t end;
  size_t count;
};

Result<Directory> read_end(std::span<const uint8_t> bytes) {
  EW_TRY(const size_t at, find_end(bytes));
  const uint16_t count = load<uint16_t>(bytes, at + 10);
  const uint32_t size = load<uint32_t>(bytes, at + 12);
  const uint32_t offset = load<uint32_t>(bytes, at + 16);
  if (count == 0xFFFF || size == 0xFFFFFFFF || offset == 0xFFFFFFFF) {
    return unsupported("ZIP64 archives are not supported");
  }
  if (load<uint16_t>(bytes, at + 4) != 0 || load<uint16_t>(bytes, at + 6) != 0 ||
      load<uint16_t>(bytes, at + 8) != count) {
    return unsupported("ZIP archives in several parts are not supported");
  }
  if (uint64_t{offset} + size > at) {
    return invalid_data("ZIP directory at ", offset, " with ", size,
                        " bytes does not fit before its end record at ", at);
  }
  return Directory{offset, size_t{offset} + size, count};
}

/// Checks what the directory says of one member against its local header.
Status locate(std::span<const uint8_t> bytes, size_t local, const Directory& directory,
              ZipMember& member) {
  const Error outside = invalid_data("ZIP member '", member.name, "': its data at ", local,
                                     " does not fit before the directory at ", directory.offset);
  if (local > directory.offset || directory.offset - local < kLocalSize) return outside;
  if (load<uint32_t>(bytes, local) != kLocalSignature) {
    return invalid_data("ZIP member '", member.name, "': no local header at ", local);
  }
  const size_t name_size = load<uint16_t>(bytes, local + 26);
  const size_t head = kLocalSize + name_size + load<uint16_t>(bytes, local + 28);
  if (directory.offset - local < head || directory.offset - local - head < member.packed_size) {
    return outside;
  }
  const std::string_view name(reinterpret_cast<const char*>(bytes.data()) + local + kLocalSize,
                              name_size);
  if (name != member.name) {
    return invalid_data("ZIP member '", member.name, "': its local header has another name");
  }
  member.data_offset = local + head;
  return {};
}

Status check_sizes(const ZipMember& member, uint16_t flags, const ZipLimits& limits) {
  const auto fail = [&](auto... why) {
    return invalid_data("ZIP member '", member.name, "'", why...);
  };
  if ((flags & 1) != 0) return unsupported("ZIP member '", member.name, "' is encrypted");
  if (member.method != kStored && member.method != kDeflated) {
    return unsupported("ZIP member '", member.name, "' has compression method ", member.method,
                       "; stored (0) and deflated (8) are supported");
  }
  if (member.size == 0xFFFFFFFF || member.packed_size == 0xFFFFFFFF) {
    return unsupported("ZIP member '", member.name, "' needs ZIP64, which is not supported");
  }
  if (member.method == kStored && member.size != member.packed_size) {
    return fail(" is stored, but ", member.packed_size, " bytes should become ", member.size);
  }
  if (int64_t{member.size} > kMostDeflate * (int64_t{member.packed_size} + 1)) {
    return fail(": ", member.packed_size, " bytes cannot unpack to ", member.size);
  }
  if (member.size > limits.max_member_bytes) {
    return make_error(ErrorCode::kResourceLimit, "ZIP member '", member.name, "' has ", member.size,
                      " bytes, above the limit of ", limits.max_member_bytes);
  }
  return {};
}

// Members that share bytes make bombs that no single ratio shows, and names that come twice let
// two readers see two archives.
Status check_apart(const std::vector<ZipMember>& members,
                   std::vector<std::pair<size_t, size_t>> spans) {
  std::sort(spans.begin(), spans.end());
  for (size_t i = 1; i < spans.size(); ++i) {
    if (spans[i].first < spans[i - 1].second) {
      return invalid_data("ZIP members overlap at offset ", spans[i].first);
    }
  }
  std::set<std::string_view> names;
  for (const ZipMember& member : members) {
    if (!names.insert(member.name).second) {
      return invalid_data("ZIP member '", member.name, "' is there twice");
    }
  }
  return {};
}

Result<std::vector<uint8_t>> unpack(std::span<const uint8_t> packed, const ZipMember& member) {
  std::vector<uint8_t> out(member.size);
  uint8_t nothing = 0;
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
    return make_error(ErrorCode::kResourceLimit, "ZIP: no memory to unpack");
  }
  stream.next_in = const_cast<uint8_t*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = out.empty() ? &nothing : out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  const int code = inflate(&stream, Z_FINISH);
  const bool complete = code == Z_STREAM_END && stream.avail_out == 0;
  inflateEnd(&stream);
  if (!complete) {
    return invalid_data("ZIP member '", member.name, "' is damaged: it does not unpack to ",
                        member.size, " bytes");
  }
  return out;
}

uint32_t crc_of(std::span<const uint8_t> bytes) {
  return static_cast<uint32_t>(crc32_z(0, bytes.data(), bytes.size()));
}

}  // namespace

Result<ZipView> ZipView::open(std::span<const uint8_t> bytes, const ZipLimits& limits) {
  EW_TRY(const Directory directory, read_end(bytes));
  if (directory.count > limits.max_members) {
    return make_error(ErrorCode::kResourceLimit, "ZIP: ", directory.count,
                      " members, above the limit of ", limits.max_members);
  }
  ZipView out;
  out.bytes_ = bytes;
  std::vector<std::pair<size_t, size_t>> spans;
  int64_t total = 0;
  size_t at = directory.offset;
  for (size_t i = 0; i < directory.count; ++i) {
    if (directory.end - at < kCentralSize || load<uint32_t>(bytes, at) != kCentralSignature) {
      return invalid_data("ZIP directory: no entry ", i, " of ", directory.count, " at offset ",
                          at);
    }
    const size_t name_size = load<uint16_t>(bytes, at + 28);
    const size_t extra_size =
        size_t{load<uint16_t>(bytes, at + 30)} + load<uint16_t>(bytes, at + 32);
    if (directory.end - at - kCentralSize < name_size + extra_size) {
      return invalid_data("ZIP directory: entry ", i, " at offset ", at, " is cut off");
    }
    ZipMember member{
        .name =
            std::string(reinterpret_cast<const char*>(bytes.data()) + at + kCentralSize, name_size),
        .size = load<uint32_t>(bytes, at + 24),
        .packed_size = load<uint32_t>(bytes, at + 20),
        .crc = load<uint32_t>(bytes, at + 16),
        .method = load<uint16_t>(bytes, at + 10)};
    const size_t local = load<uint32_t>(bytes, at + 42);
    EW_TRY_VOID(check_sizes(member, load<uint16_t>(bytes, at + 8), limits));
    EW_TRY_VOID(locate(bytes, local, directory, member));
    total += member.size;
    if (total > limits.max_total_bytes) {
      return make_error(ErrorCode::kResourceLimit, "ZIP: members unpack to more than the limit of ",
                        limits.max_total_bytes, " bytes");
    }
    spans.emplace_back(local, member.data_offset + member.packed_size);
    out.members_.push_back(std::move(member));
    at += kCentralSize + name_size + extra_size;
  }
  EW_TRY_VOID(check_apart(out.members_, std::move(spans)));
  return out;
}

const ZipMember* ZipView::find(std::string_view name) const {
  const auto found = std::find_if(members_.begin(), members_.end(),
                                  [&](const ZipMember& m) { return m.name == name; });
  return found == members_.end() ? nullptr : &*found;
}

Result<std::vector<uint8_t>> ZipView::read(const ZipMember& member) const {
  const auto packed = bytes_.subspan(member.data_offset, member.packed_size);
  std::vector<uint8_t> out;
  if (member.method == kStored) {
    out.assign(packed.begin(), packed.end());
  } else {
    EW_TRY(out, unpack(packed, member));
  }
  if (crc_of(out) != member.crc) {
    return invalid_data("ZIP member '", member.name, "' is damaged: its CRC-32 differs");
  }
  return out;
}

Result<std::vector<uint8_t>> ZipView::read(std::string_view name) const {
  if (const ZipMember* member = find(name)) return read(*member);
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min<size_t>(members_.size(), 8); ++i)
    names.push_back(members_[i].name);
  return make_error(ErrorCode::kNotFound, "expected a ZIP member '", name, "', found ",
                    names.empty() ? "nothing" : join(names, ", "),
                    members_.size() > names.size() ? ", …" : "");
}

Result<std::vector<uint8_t>> write_zip(std::span<const ZipInput> members) {
  constexpr size_t kLimit = std::numeric_limits<uint32_t>::max();
  std::set<std::string_view> names;
  size_t total = 0;
  for (const ZipInput& m : members) {
    if (m.name.empty() || m.name.size() > 0xFFFF || !names.insert(m.name).second) {
      return invalid_argument("ZIP member name '", m.name.substr(0, 80),
                              "': expected one that is not empty and not used before");
    }
    total += kLocalSize + kCentralSize + 2 * m.name.size() + m.bytes.size();
    if (m.bytes.size() >= kLimit || total >= kLimit || names.size() >= 0xFFFF) {
      return make_error(ErrorCode::kResourceLimit,
                        "ZIP: above 4 GiB or 65534 members (ZIP64 is not supported)");
    }
  }
  std::vector<uint8_t> out;
  std::vector<uint8_t> directory;
  out.reserve(total + kEndSize);
  for (const ZipInput& m : members) {
    const auto offset = static_cast<uint32_t>(out.size());
    const bool ascii =
        std::all_of(m.name.begin(), m.name.end(), [](char c) { return c >= 0 && c < 127; });
    const uint16_t flags = ascii ? uint16_t{0} : kFlagUtf8;
    const uint32_t crc = crc_of(m.bytes);
    const auto size = static_cast<uint32_t>(m.bytes.size());
    const auto name_size = static_cast<uint16_t>(m.name.size());
    constexpr uint16_t kVersion = 20;
    const auto store_common = [&](std::vector<uint8_t>& to) {
      store(to, kVersion, flags, kStored, uint16_t{0}, kDate1980, crc, size, size, name_size,
            uint16_t{0});
    };
    store(out, kLocalSignature);
    store_common(out);
    out.insert(out.end(), m.name.begin(), m.name.end());
    out.insert(out.end(), m.bytes.begin(), m.bytes.end());
    store(directory, kCentralSignature, kVersion);
    store_common(directory);
    store(directory, uint16_t{0}, uint16_t{0}, uint16_t{0}, uint32_t{0}, offset);
    directory.insert(directory.end(), m.name.begin(), m.name.end());
  }
  const auto start = static_cast<uint32_t>(out.size());
  const auto count = static_cast<uint16_t>(members.size());
  out.insert(out.end(), directory.begin(), directory.end());
  store(out, kEndSignature, uint16_t{0}, uint16_t{0}, count, count,
        static_cast<uint32_t>(directory.size()), start, uint16_t{0});
  return out;
}

}  // namespace ew::formats
