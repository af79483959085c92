#include "agent/ledger.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_map>

#include "agent/redact.h"
#include "base/file.h"

namespace ew::agent {
namespace {

constexpr char kMagic[8] = {'E', 'W', 'L', 'E', 'D', 'G', 'R', '1'};
constexpr size_t kStepRows = 1024;

/// The file's first 256 bytes.
struct Header {
  char magic[8];
  uint64_t row_count;
  char unused[240];
};
static_assert(sizeof(Header) == sizeof(LedgerRow));

Header& header_of(LedgerRow* map) { return *reinterpret_cast<Header*>(map); }

Error system_error(const std::string& path) {
  return make_error(ErrorCode::kIo, path, ": ", std::strerror(errno));
}

/// A name that fits into `room`: a long one is cut and ends in a number of its whole text.
std::string fitting(std::string_view name, size_t room) {
  if (name.size() <= room) return std::string(name);
  return std::string(name.substr(0, room - 17)) + "~" + pseudonym(name);
}

}  // namespace

struct Ledger::Index {
  std::unordered_map<std::string, uint32_t> rows;
};

uint64_t LedgerRow::dropped_total() const {
  uint64_t sum = 0;
  for (const uint64_t count : dropped) sum += count;
  return sum;
}

std::string_view LedgerRow::first() const {
  const size_t size = std::min<size_t>(name_bytes, sizeof names);
  const std::string_view both(names, size);
  return both.substr(0, both.find('\0'));
}

std::string_view LedgerRow::second() const {
  const size_t size = std::min<size_t>(name_bytes, sizeof names);
  const std::string_view both(names, size);
  const size_t zero = both.find('\0');
  return zero == std::string_view::npos ? std::string_view() : both.substr(zero + 1);
}

Ledger::Ledger(int fd, LedgerRow* map)
    : fd_(fd), map_(map), rows_(map + 1), index_(std::make_unique<Index>()) {}

Ledger::~Ledger() {
  ::munmap(map_, (kMaxRows + 1) * sizeof(LedgerRow));
  if (fd_ >= 0) ::close(fd_);
}

size_t Ledger::size() const { return static_cast<size_t>(header_of(map_).row_count); }

Status Ledger::grow(size_t rows) {
  if (rows + 1 <= capacity_) return {};
  const size_t wanted = std::min((rows / kStepRows + 1) * kStepRows + 1, kMaxRows + 1);
  if (fd_ >= 0) {
    // Allocated, not only extended: on a full disk a store into a hole would be a bus error.
    const int error = ::posix_fallocate(fd_, 0, static_cast<off_t>(wanted * sizeof(LedgerRow)));
    if (error != 0) {
      return make_error(ErrorCode::kIo, "ledger: ", std::strerror(error));
    }
  }
  capacity_ = wanted;
  return {};
}

Result<std::unique_ptr<Ledger>> Ledger::open(const std::string& path) {
  int fd = -1;
  size_t bytes = 0;
  if (!path.empty()) {
    fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return system_error(path);
    struct stat info{};
    if (::fstat(fd, &info) != 0) {
      ::close(fd);
      return system_error(path);
    }
    bytes = static_cast<size_t>(info.st_size);
  }
  const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
  void* map =
      ::mmap(nullptr, (kMaxRows + 1) * sizeof(LedgerRow), PROT_READ | PROT_WRITE, flags, fd, 0);
  if (map == MAP_FAILED) {
    const Error error = system_error(path);
    if (fd >= 0) ::close(fd);
    return error;
  }
  std::unique_ptr<Ledger> ledger(new Ledger(fd, static_cast<LedgerRow*>(map)));
  ledger->capacity_ = bytes / sizeof(LedgerRow);
  if (bytes == 0) EW_TRY_VOID(ledger->grow(0));
  // Killed before it had its mark, a new file is all zeros.
  const Header blank{};
  if (std::memcmp(ledger->map_, &blank, sizeof blank) == 0) {
    std::memcpy(header_of(ledger->map_).magic, kMagic, sizeof kMagic);
  }
  const Header& header = header_of(ledger->map_);
  if (bytes > 0 &&
      (bytes < sizeof(Header) || std::memcmp(header.magic, kMagic, sizeof kMagic) != 0 ||
       header.row_count + 1 > ledger->capacity_)) {
    return invalid_data(path, ": not a ledger; remove it to start afresh");
  }
  for (size_t i = 0; i < ledger->size(); ++i) {
    const LedgerRow& row = ledger->rows_[i];
    ledger->index_->rows[str(static_cast<int>(row.kind), ":", row.first(),
                             std::string_view("\0", 1), row.second())] = static_cast<uint32_t>(i);
  }
  return ledger;
}

uint32_t Ledger::row(LedgerKind kind, std::string_view first, std::string_view second) {
  const std::string one = fitting(first, 40);
  const std::string two = fitting(second, 62);
  const std::string name = str(static_cast<int>(kind), ":", one, std::string_view("\0", 1), two);
  if (const auto found = index_->rows.find(name); found != index_->rows.end()) return found->second;
  const size_t count = size();
  if (count + 8 >= kMaxRows || !grow(count + 1).ok()) {
    // One row is left for each kind, made when it is first needed.
    if (second != "(other)" || first != "(other)") return row(kind, "(other)", "(other)");
    if (count + 1 >= kMaxRows || count + 2 > capacity_) return static_cast<uint32_t>(count - 1);
  }
  LedgerRow fresh;
  fresh.kind = kind;
  std::memcpy(fresh.names, one.data(), one.size());
  std::memcpy(fresh.names + one.size() + 1, two.data(), two.size());
  fresh.name_bytes = static_cast<uint32_t>(one.size() + 1 + two.size());
  rows_[count] = fresh;
  header_of(map_).row_count = count + 1;
  index_->rows[name] = static_cast<uint32_t>(count);
  return static_cast<uint32_t>(count);
}

void Ledger::reset_counts() {
  for (size_t i = 0; i < size(); ++i) {
    rows_[i].accepted = 0;
    rows_[i].delivered = 0;
    rows_[i].dropped = {};
  }
}

void Ledger::save(ByteWriter& out) const {
  out.put(static_cast<uint32_t>(size()));
  for (size_t i = 0; i < size(); ++i) {
    const LedgerRow& row = rows_[i];
    out.put(static_cast<uint32_t>(row.kind));
    out.put_text(row.first());
    out.put_text(row.second());
    out.put(row.accepted);
    out.put(row.delivered);
    for (const uint64_t count : row.dropped) out.put(count);
  }
}

bool Ledger::load(ByteReader& in) {
  header_of(map_).row_count = 0;
  index_->rows.clear();
  const size_t count = in.get_count(28 + 8 * kDropReasonCount);
  for (size_t i = 0; i < count && in.ok(); ++i) {
    const auto kind = static_cast<LedgerKind>(in.get<uint32_t>());
    const std::string_view first = in.get_text();
    const std::string_view second = in.get_text();
    LedgerRow& target = rows_[row(kind, first, second)];
    target.accepted = in.get<uint64_t>();
    target.delivered = in.get<uint64_t>();
    for (uint64_t& dropped : target.dropped) dropped = in.get<uint64_t>();
  }
  return in.ok();
}

uint64_t Ledger::settle_unheld(const std::vector<uint64_t>& held, DropReason reason) {
  uint64_t settled = 0;
  for (size_t i = 0; i < size(); ++i) {
    LedgerRow& row = rows_[i];
    if (row.kind != LedgerKind::kInput) continue;
    const uint64_t waiting = i < held.size() ? held[i] : 0;
    if (row.queued() <= waiting) continue;
    const uint64_t lost = row.queued() - waiting;
    row.dropped[static_cast<size_t>(reason)] += lost;
    settled += lost;
  }
  return settled;
}

Result<std::vector<LedgerRow>> Ledger::read(const std::string& path) {
  EW_TRY(const std::vector<uint8_t> bytes, read_file(path, int64_t{1} << 27));
  Header header{};
  if (bytes.size() >= sizeof header) std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0 ||
      header.row_count > bytes.size() / sizeof(LedgerRow) - 1) {
    return invalid_data(path, ": expected a ledger");
  }
  std::vector<LedgerRow> rows(static_cast<size_t>(header.row_count));
  std::memcpy(rows.data(), bytes.data() + sizeof header, rows.size() * sizeof(LedgerRow));
  for (LedgerRow& row : rows) {
    // A running agent may have counted on between the words of one row.
    row.accepted =
        std::max(row.accepted, row.kind == LedgerKind::kInput ? row.delivered + row.dropped_total()
                                                              : row.accepted);
  }
  return rows;
}

}  // namespace ew::agent
