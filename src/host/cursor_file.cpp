#include "host/cursor_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/crc32c.h"
#include "host/bytes.h"

namespace ew::host {
namespace {

// Each copy has sectors of its own, because a disk writes sectors whole.
constexpr size_t kSlotBytes = 512;
constexpr size_t kFileBytes = 2 * kSlotBytes;
constexpr uint32_t kMagic = 0x31435745;  // "EWC1"
constexpr size_t kValuesAt = 16;

static_assert(kValuesAt + 8 * CursorFile::kMaxCounters <= kSlotBytes);

struct Slot {
  uint64_t generation = 0;
  std::vector<uint64_t> values;
};

// magic, checksum of all behind it, generation (its low byte's place holds the count), values
uint32_t slot_crc(const uint8_t* slot, size_t count) {
  return crc32c({slot + 8, kValuesAt - 8 + 8 * count}, static_cast<uint32_t>(count));
}

std::optional<Slot> parse_slot(const uint8_t* slot) {
  const auto word = load_le<uint64_t>(slot + 8);
  const size_t count = word & 0xFF;
  if (load_le<uint32_t>(slot) != kMagic || count == 0 || count > CursorFile::kMaxCounters) {
    return std::nullopt;
  }
  if (load_le<uint32_t>(slot + 4) != slot_crc(slot, count)) return std::nullopt;
  Slot out{word >> 8, {}};
  for (size_t i = 0; i < count; ++i) {
    out.values.push_back(load_le<uint64_t>(slot + kValuesAt + 8 * i));
  }
  return out;
}

Error system_error(const std::string& path, const char* what) {
  return make_error(ErrorCode::kIo, path, ": cannot ", what, ": ", std::strerror(errno));
}

}  // namespace

Result<std::unique_ptr<CursorFile>> CursorFile::open(const std::string& path, size_t count) {
  if (count == 0 || count > kMaxCounters) {
    return invalid_argument(path, ": expected 1 to ", kMaxCounters, " counters, found ", count);
  }
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return system_error(path, "open");
  struct stat info{};
  if (::fstat(fd, &info) != 0) {
    const Error error = system_error(path, "stat");
    ::close(fd);
    return error;
  }
  // Blocks are taken now: a full disk must not end the process when a page is written.
  if (const int failed = ::posix_fallocate(fd, 0, kFileBytes); failed != 0) {
    errno = failed;
    const Error error = system_error(path, "reserve");
    ::close(fd);
    return error;
  }
  void* map = ::mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  const Error map_error = map == MAP_FAILED ? system_error(path, "map") : Error{};
  ::close(fd);
  if (map == MAP_FAILED) return map_error;
  std::unique_ptr<CursorFile> cursor(new CursorFile(path, static_cast<uint8_t*>(map), count));
  const std::optional<Slot> slots[] = {parse_slot(cursor->map_),
                                       parse_slot(cursor->map_ + kSlotBytes)};
  for (const std::optional<Slot>& slot : slots) {
    if (!slot || slot->generation < cursor->generation_) continue;
    cursor->generation_ = slot->generation;
    std::fill(cursor->values_.begin(), cursor->values_.end(), 0);
    std::copy_n(slot->values.begin(), std::min(count, slot->values.size()),
                cursor->values_.begin());
  }
  if (!slots[0] && !slots[1]) {
    const bool is_blank = std::all_of(cursor->map_, cursor->map_ + kFileBytes,
                                      [](uint8_t byte) { return byte == 0; });
    if (!is_blank) {
      return invalid_data(path,
                          ": both copies of the counters are damaged; remove the file to "
                          "begin from the log");
    }
    cursor->store();
  }
  return cursor;
}

CursorFile::CursorFile(std::string path, uint8_t* map, size_t count)
    : path_(std::move(path)), map_(map), values_(count, 0) {}

CursorFile::~CursorFile() { ::munmap(map_, kFileBytes); }

void CursorFile::set(size_t index, uint64_t value) {
  values_[index] = value;
  store();
}

void CursorFile::set_all(std::span<const uint64_t> values) {
  std::copy_n(values.begin(), std::min(values.size(), values_.size()), values_.begin());
  store();
}

void CursorFile::store() {
  ++generation_;
  uint8_t* slot = map_ + (generation_ % 2) * kSlotBytes;
  store_le(slot, kMagic);
  store_le(slot + 8, (generation_ << 8) | values_.size());
  std::memcpy(slot + kValuesAt, values_.data(), 8 * values_.size());
  // The other copy counts until this checksum is right, whatever order the stores become visible
  // in; the fence only keeps the next call's stores to the other copy behind this one.
  store_le(slot + 4, slot_crc(slot, values_.size()));
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

Status CursorFile::sync() {
  if (::msync(map_, kFileBytes, MS_SYNC) != 0) return system_error(path_, "sync");
  return {};
}

}  // namespace ew::host
