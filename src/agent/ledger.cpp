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
constexpr char kSealedMagic[8] = {'E', 'W', 'L', 'E', 'D', 'G', 'X', '1'};
constexpr size_t kStepRows = 1024;

/// The file's first 256 bytes.
struct Header {
  char magic[8];
  uint64_t row_count;
  NameCipher::FileNumber number;  // of an encrypted one
  NameCipher::FileNumber check;
  char unused[208];

  void begin(const NameCipher& cipher) {
    number = cipher.new_number();
    check = cipher.check_of(number);
  }
};
static_assert(sizeof(Header) == sizeof(LedgerRow));

Header& header_of(LedgerRow* map) { return *reinterpret_cast<Header*>(map); }

Error wrong_key(const std::string& path, bool is_sealed) {
  return invalid_argument(path, is_sealed ? ": is encrypted; the app file has no `encryption:`"
                                          : ": was begun without `encryption:`; remove it, and its "
                                            "counts begin anew");
}

Error other_key(const std::string& path) {
  return invalid_argument(path, ": the key of `encryption:` is another one");
}

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
  std::unordered_map<std::string, uint32_t> sums;  // of inputs, by source
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

/// Gives a new file its mark. `bytes` had the file before.
Status Ledger::check_header(const std::string& path, size_t bytes) {
  Header& header = header_of(map_);
  // Killed before it had its mark, a new file is all zeros.
  const Header blank{};
  if (std::memcmp(map_, &blank, sizeof blank) == 0) {
    if (cipher_) header.begin(*cipher_);
    std::memcpy(header.magic, cipher_ ? kSealedMagic : kMagic, sizeof kMagic);
  }
  const bool is_sealed = std::memcmp(header.magic, kSealedMagic, sizeof kMagic) == 0;
  const bool is_plain = std::memcmp(header.magic, kMagic, sizeof kMagic) == 0;
  if (bytes > 0 &&
      (bytes < sizeof(Header) || !(is_sealed || is_plain) || header.row_count + 1 > capacity_)) {
    return invalid_data(path, ": not a ledger; remove it to start afresh");
  }
  if (is_sealed != cipher_.has_value()) return wrong_key(path, is_sealed);
  if (is_sealed && header.check != cipher_->check_of(header.number)) return other_key(path);
  return {};
}

LedgerRow Ledger::named(uint32_t row) const {
  LedgerRow copy = rows_[row];
  if (cipher_) cipher_->apply(header_of(map_).number, row, copy.names);
  return copy;
}

Result<std::unique_ptr<Ledger>> Ledger::open(const std::string& path,
                                             const std::optional<host::SecretKey>& key) {
  std::optional<NameCipher> cipher;
  if (key) {
    EW_TRY(cipher, NameCipher::create(*key));
  }
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
  ledger->cipher_ = std::move(cipher);
  if (bytes == 0) EW_TRY_VOID(ledger->grow(0));
  EW_TRY_VOID(ledger->check_header(path, bytes));
  for (uint32_t i = 0; i < ledger->size(); ++i) {
    const LedgerRow row = ledger->named(i);
    ledger->index_->rows[str(static_cast<int>(row.kind), ":", row.first(),
                             std::string_view("\0", 1), row.second())] = i;
    ledger->add_sum(row);
  }
  ledger->count_sums();
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
  if (cipher_) cipher_->apply(header_of(map_).number, count, rows_[count].names);
  header_of(map_).row_count = count + 1;
  index_->rows[name] = static_cast<uint32_t>(count);
  add_sum(fresh);
  return static_cast<uint32_t>(count);
}

/// The sum to which the next row belongs.
void Ledger::add_sum(const LedgerRow& row) {
  auto number = static_cast<uint32_t>(sums_.size());
  if (row.kind == LedgerKind::kInput) {
    number = index_->sums.try_emplace(std::string(row.first()), number).first->second;
  }
  if (number == sums_.size()) {
    LedgerRow& sum = sums_.emplace_back();
    sum.kind = row.kind;
    sum.name_bytes = row.name_bytes;
    std::memcpy(sum.names, row.names, sizeof sum.names);
  }
  sum_of_row_.push_back(number);
}

void Ledger::count_sums() {
  for (LedgerRow& sum : sums_) {
    sum.accepted = sum.delivered = 0;
    sum.dropped = {};
  }
  for (uint32_t i = 0; i < size(); ++i) {
    LedgerRow& sum = sum_of(i);
    sum.accepted += rows_[i].accepted;
    sum.delivered += rows_[i].delivered;
    for (size_t k = 0; k < kDropReasonCount; ++k) sum.dropped[k] += rows_[i].dropped[k];
  }
}

void Ledger::reset_counts() {
  for (size_t i = 0; i < size(); ++i) {
    rows_[i].accepted = 0;
    rows_[i].delivered = 0;
    rows_[i].dropped = {};
  }
  count_sums();
}

void Ledger::save(ByteWriter& out) const {
  out.put(static_cast<uint32_t>(size()));
  for (uint32_t i = 0; i < size(); ++i) {
    const LedgerRow row = named(i);
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
  // The same places will hold other names.
  if (cipher_) header_of(map_).begin(*cipher_);
  index_->rows.clear();
  index_->sums.clear();
  sums_.clear();
  sum_of_row_.clear();
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
  count_sums();
  return in.ok();
}

uint64_t Ledger::settle_unheld(const std::vector<uint64_t>& held, DropReason reason) {
  uint64_t settled = 0;
  for (uint32_t i = 0; i < size(); ++i) {
    const LedgerRow& row = rows_[i];
    if (row.kind != LedgerKind::kInput) continue;
    const uint64_t waiting = i < held.size() ? held[i] : 0;
    if (row.queued() <= waiting) continue;
    const uint64_t lost = row.queued() - waiting;
    drop(i, lost, reason);
    settled += lost;
  }
  return settled;
}

Result<std::vector<LedgerRow>> Ledger::read(const std::string& path,
                                            const std::optional<host::SecretKey>& key) {
  EW_TRY(const std::vector<uint8_t> bytes, read_file(path, int64_t{1} << 27));
  Header header{};
  if (bytes.size() >= sizeof header) std::memcpy(&header, bytes.data(), sizeof header);
  const bool is_sealed = std::memcmp(header.magic, kSealedMagic, sizeof kMagic) == 0;
  if ((!is_sealed && std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) ||
      header.row_count > bytes.size() / sizeof(LedgerRow) - 1) {
    return invalid_data(path, ": expected a ledger");
  }
  std::vector<LedgerRow> rows(static_cast<size_t>(header.row_count));
  std::memcpy(rows.data(), bytes.data() + sizeof header, rows.size() * sizeof(LedgerRow));
  if (is_sealed) {
    if (!key) return wrong_key(path, is_sealed);
    EW_TRY(const NameCipher cipher, NameCipher::create(*key));
    if (header.check != cipher.check_of(header.number)) return other_key(path);
    for (size_t i = 0; i < rows.size(); ++i) cipher.apply(header.number, i, rows[i].names);
  }
  for (LedgerRow& row : rows) {
    // A running agent may have counted on between the words of one row.
    row.accepted =
        std::max(row.accepted, row.kind == LedgerKind::kInput ? row.delivered + row.dropped_total()
                                                              : row.accepted);
  }
  return rows;
}

}  // namespace ew::agent
