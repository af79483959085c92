#include "agent/lane_store.h"

#include <algorithm>
#include <deque>

#include "base/file.h"

namespace ew::agent {
namespace {

using host::DurableLog;

class FileLaneStore final : public LaneStore {
 public:
  FileLaneStore(host::FileSystem& files, LaneStoreOptions options,
                std::unique_ptr<host::CursorFile> cursor)
      : files_(files), options_(std::move(options)), cursor_(std::move(cursor)) {
    std::ranges::sort(options_.dropped, {}, &DroppedRange::first);
  }

  /// Looks for a log and notes where each of its runs of numbers begins.
  Status recover() {
    if (!is_directory(log_folder())) return {};
    EW_TRY_VOID(open_log());
    const auto read = log_->read(0, [&](uint64_t sequence, int64_t, host::Bytes bytes) {
      ByteReader in(host::as_text(bytes));
      note_run(in.get<uint64_t>(), sequence);
      return true;
    });
    if (!read.ok()) return read.error();
    return {};
  }

  uint64_t delivered() const override { return cursor_->get(0); }
  uint64_t sent() const override { return cursor_->get(1); }
  void set_delivered(uint64_t number) override {
    if (number > cursor_->get(0)) cursor_->set(0, number);
  }
  void set_sent(uint64_t number) override {
    if (number > cursor_->get(1)) cursor_->set(1, number);
  }
  uint64_t logged() const override { return logged_; }
  bool was_logged(uint64_t number) const override {
    if (number > logged_) return false;
    for (size_t i = runs_.size(); i-- > 0;) {
      if (runs_[i].number > number) continue;
      const uint64_t sequence = runs_[i].sequence + (number - runs_[i].number);
      return i + 1 == runs_.size() || sequence < runs_[i + 1].sequence;
    }
    return false;
  }

  Status append(uint64_t number, std::string_view bytes) override {
    if (!log_) EW_TRY_VOID(open_log());
    const host::Bytes parts[] = {{reinterpret_cast<const uint8_t*>(&number), sizeof number},
                                 host::as_bytes(bytes)};
    Result<uint64_t> sequence = log_->append(parts);
    if (!sequence.ok()) {
      // What waits for the disk is bounded too; a full log is not cured by waiting.
      EW_TRY_VOID(log_->flush());
      sequence = log_->append(parts);
      if (!sequence.ok()) return sequence.error();
    }
    note_run(number, *sequence);
    return {};
  }

  bool is_nearly_full() const override {
    return log_ && log_->stats().bytes > options_.max_disk_bytes / 8 * 7;
  }

  Status flush() override { return log_ ? log_->flush() : Status(); }

  Status read(uint64_t after,
              const std::function<bool(uint64_t, std::string_view)>& visit) override {
    if (!log_) return {};
    EW_TRY_VOID(log_->flush());
    const auto read = log_->read(sequence_of(after + 1), [&](uint64_t, int64_t, host::Bytes bytes) {
      ByteReader in(host::as_text(bytes));
      const auto number = in.get<uint64_t>();
      return number <= after || visit(number, in.rest());
    });
    if (!read.ok()) return read.error();
    return {};
  }

  void trim(uint64_t through) override {
    if (!log_) return;
    const uint64_t before = sequence_of(through + 1);
    while (runs_.size() > 1 && runs_[1].number <= through + 1) runs_.pop_front();
    if (before > 0) log_->trim_before(std::min(before, log_->stats().next_sequence));
  }

  bool note_dropped(uint64_t first, uint64_t last, DropReason reason) override {
    if (options_.note_dropped) options_.note_dropped(first, last, reason);
    return options_.note_dropped != nullptr;
  }
  std::optional<DropReason> dropped(uint64_t number) const override {
    auto range = std::ranges::upper_bound(options_.dropped, number, {}, &DroppedRange::first);
    if (range == options_.dropped.begin() || number > (--range)->last) return std::nullopt;
    return range->reason;
  }

 private:
  /// Consecutive numbers in consecutive records of the log.
  struct Run {
    uint64_t number = 0;
    uint64_t sequence = 0;
  };

  std::string log_folder() const {
    return options_.folder + "/queue/" + options_.sink +
           (options_.lane == Priority::kAlert ? "-alerts" : "-telemetry");
  }

  Status open_log() {
    host::LogOptions log;
    log.directory = log_folder();
    log.key = options_.key;
    log.max_bytes = options_.max_disk_bytes;
    // An eighth that is given up frees a whole segment at least.
    log.segment_bytes = std::clamp<uint64_t>(options_.max_disk_bytes / 16, 4096, uint64_t{8} << 20);
    EW_TRY(log_, DurableLog::open(files_, log));
    if (!options_.log) return {};
    for (const std::string& finding : log_->recovery().findings) {
      options_.log({LogLevel::kError, "queue", options_.sink, finding});
    }
    return {};
  }

  /// Where the first record stands whose number is at least this one; 0: at the beginning.
  uint64_t sequence_of(uint64_t number) const {
    uint64_t sequence = 0;
    for (size_t i = 0; i < runs_.size() && runs_[i].number <= number; ++i) {
      sequence = runs_[i].sequence + (number - runs_[i].number);
      // Numbers between two runs never were in the log.
      if (i + 1 < runs_.size()) sequence = std::min(sequence, runs_[i + 1].sequence);
    }
    return sequence;
  }

  void note_run(uint64_t number, uint64_t sequence) {
    logged_ = std::max(logged_, number);
    if (runs_.empty() || number - runs_.back().number != sequence - runs_.back().sequence) {
      runs_.push_back({number, sequence});
    }
  }

  host::FileSystem& files_;
  LaneStoreOptions options_;
  std::unique_ptr<host::CursorFile> cursor_;
  std::unique_ptr<DurableLog> log_;
  std::deque<Run> runs_;
  uint64_t logged_ = 0;
};

}  // namespace

Result<std::unique_ptr<LaneStore>> open_lane_store(host::FileSystem& files,
                                                   LaneStoreOptions options) {
  EW_TRY_VOID(files.make_directory(options.folder + "/queue"));
  const std::string path = options.folder + "/queue/" + options.sink +
                           (options.lane == Priority::kAlert ? "-alerts" : "-telemetry") +
                           ".cursor";
  EW_TRY(auto cursor, host::CursorFile::open(path, 2));
  auto store = std::make_unique<FileLaneStore>(files, std::move(options), std::move(cursor));
  EW_TRY_VOID(store->recover());
  return std::unique_ptr<LaneStore>(std::move(store));
}

}  // namespace ew::agent
