#pragma once
// Who sent what, what became of it, and what left: counters in a file that is mapped into memory,
// so that they can be read while the agent runs and after it was killed.

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/bytes_io.h"
#include "agent/name_cipher.h"
#include "agent/record.h"
#include "base/result.h"

namespace ew::agent {

enum class LedgerKind : uint32_t {
  kInput,      ///< source, key: accepted = delivered + dropped + queued
  kEgress,     ///< rule or stream, sink: records and bytes that left
  kSource,     ///< source: records and payload bytes that came in
  kRedaction,  ///< stream, field: how often it was applied
  kSink,       ///< sink: outputs made, delivered, dropped by reason
};

/// One row; 256 bytes in the file.
struct LedgerRow {
  LedgerKind kind = LedgerKind::kInput;
  uint32_t name_bytes = 0;
  uint64_t accepted = 0;   ///< records
  uint64_t delivered = 0;  ///< kEgress, kSource: bytes
  std::array<uint64_t, kDropReasonCount> dropped{};
  char names[104] = {};  ///< first name, a zero, second name; cut and hashed if too long

  uint64_t dropped_total() const;
  uint64_t queued() const { return accepted - delivered - dropped_total(); }
  std::string_view first() const;
  std::string_view second() const;
};
static_assert(sizeof(LedgerRow) == 256);

class Ledger {
 public:
  static constexpr size_t kMaxRows = 1 << 18;

  /// Opens or creates the file; an empty path keeps the rows in memory only. Rows of a file that
  /// was there are kept. With a key the names stand encrypted in the file. Errors: kIo;
  /// kInvalidData if it is no ledger; kInvalidArgument if it was begun with a key and there is
  /// none, or without.
  static Result<std::unique_ptr<Ledger>> open(const std::string& path,
                                              const std::optional<host::SecretKey>& key = {});
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  /// The number of the row, made if need be. Numbers never change. Beyond kMaxRows everything of
  /// a kind goes to one row "(other)".
  uint32_t row(LedgerKind kind, std::string_view first, std::string_view second);
  /// Its names may be encrypted: see named().
  const LedgerRow& at(uint32_t row) const { return rows_[row]; }
  /// A copy with readable names.
  LedgerRow named(uint32_t row) const;
  size_t size() const;

  void accept(uint32_t row, uint64_t count = 1) {
    rows_[row].accepted += count;
    sum_of(row).accepted += count;
  }
  /// The output that was accepted last is none.
  void take_back(uint32_t row) {
    --rows_[row].accepted;
    --sum_of(row).accepted;
  }
  /// `count` records; of kEgress and kSource bytes.
  void deliver(uint32_t row, uint64_t count) {
    rows_[row].delivered += count;
    sum_of(row).delivered += count;
  }
  void drop(uint32_t row, uint64_t count, DropReason reason) {
    rows_[row].dropped[static_cast<size_t>(reason)] += count;
    sum_of(row).dropped[static_cast<size_t>(reason)] += count;
  }
  /// For a count that is kept elsewhere.
  void set_accepted(uint32_t row, uint64_t count) { accept(row, count - rows_[row].accepted); }

  /// One for each source, its keys' rows together, and one for each row of another kind.
  const std::deque<LedgerRow>& sums() const { return sums_; }

  /// All counts become 0; rows keep their numbers.
  void reset_counts();
  void save(ByteWriter& out) const;
  /// Replaces all rows.
  bool load(ByteReader& in);
  /// Inputs that are queued by the counts, but that nothing holds (`held`, by row), are dropped
  /// with this reason. Returns how many.
  uint64_t settle_unheld(const std::vector<uint64_t>& held, DropReason reason);

  /// A copy of the rows in a file, also of a running agent. Errors: kNotFound, kInvalidData,
  /// kInvalidArgument as open().
  static Result<std::vector<LedgerRow>> read(const std::string& path,
                                             const std::optional<host::SecretKey>& key = {});

 private:
  struct Index;
  Ledger(int fd, LedgerRow* map);
  Status check_header(const std::string& path, size_t bytes);
  Status grow(size_t rows);
  LedgerRow& sum_of(uint32_t row) { return sums_[sum_of_row_[row]]; }
  void add_sum(const LedgerRow& row);
  void count_sums();

  int fd_ = -1;
  LedgerRow* map_ = nullptr;   // row 0 is the file's header
  LedgerRow* rows_ = nullptr;  // map_ + 1
  size_t capacity_ = 0;
  std::optional<NameCipher> cipher_;
  std::deque<LedgerRow> sums_;
  std::vector<uint32_t> sum_of_row_;
  std::unique_ptr<Index> index_;
};

/// {"sources":…,"egress":…,"input":…,"sinks":…,"redactions":…}; zero reasons are left out.
std::string ledger_json(const std::vector<LedgerRow>& rows);
/// The same as a table.
std::string ledger_text(const std::vector<LedgerRow>& rows);

}  // namespace ew::agent
