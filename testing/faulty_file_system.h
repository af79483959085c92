#pragma once
// A disk in memory that fails on demand, and that forgets or tears what was not synced.

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "base/rng.h"
#include "host/file_system.h"

namespace ew::testing {

/// Every call that changes something (open to create, append, sync, cut, rename, remove, make or
/// sync a folder) is one step, counted from 1. Thread-safe.
class FaultyFileSystem final : public host::FileSystem {
 public:
  FaultyFileSystem();
  ~FaultyFileSystem() override;

  int64_t steps() const;
  /// From this step on every call fails, as if the process had ended: half of an append is done.
  void crash_at(int64_t step);
  bool has_crashed() const;
  /// These steps fail with the error; an append has then written half, a sync nothing.
  void fail_steps(int64_t first, int64_t count, ErrorCode code);
  /// Appends fail with kResourceLimit while all files together would exceed this.
  void limit_bytes(uint64_t bytes);
  /// Syncs of files wait until they are let go; `waiting_syncs` says how many do.
  void hold_syncs(bool is_held);
  void wait_for_held_sync();

  /// After crash_at: the process is started again, with all that was written.
  void restart_after_kill();
  /// The same after the power went. Of what was not synced each file keeps a part that `seed`
  /// chooses: nothing, all, a beginning, or single sectors with zeros between; names created,
  /// renamed or removed without sync_directory may or may not be so.
  void restart_after_power_loss(uint64_t seed);

  /// For tests that damage a file.
  std::vector<uint8_t> content(const std::string& path) const;
  void set_content(const std::string& path, std::vector<uint8_t> bytes);
  void flip_bit(const std::string& path, uint64_t bit);

  Result<std::unique_ptr<host::File>> open(const std::string& path, host::OpenMode mode) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status remove_tree(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Status make_directory(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& path) override;
  Result<std::unique_ptr<host::FileLock>> lock(const std::string& path) override;

  struct Node {
    std::vector<uint8_t> now;
    std::vector<uint8_t> durable;
  };

 private:
  friend class FaultyFile;
  friend class FaultyLock;

  /// Counts a step; the error it must fail with, if any.
  Status step();
  static void forget_unsynced(Node& node, Rng& rng);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Node>> names_;
  std::map<std::string, std::shared_ptr<Node>> durable_names_;
  std::set<std::string> locks_;
  int64_t steps_ = 0;
  int64_t crash_step_ = INT64_MAX;
  int64_t fail_first_ = INT64_MAX;
  int64_t fail_count_ = 0;
  ErrorCode fail_code_ = ErrorCode::kIo;
  uint64_t limit_bytes_ = UINT64_MAX;
  bool are_syncs_held_ = false;
  int held_syncs_ = 0;
};

}  // namespace ew::testing
