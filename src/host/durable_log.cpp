#include "host/durable_log.h"

#include <sys/random.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/crc32c.h"
#include "host/log_segments.h"
#include "host/plugin/sodium_plugin.h"
#include "host/plugins.h"

namespace ew::host {
namespace {

/// A consumed segment of at least this size is closed, so that its space comes back.
constexpr uint64_t kRollConsumedBytes = 1 << 20;
/// Buffers above this are given back once they are written.
constexpr size_t kKeepBufferBytes = 256 << 10;
/// What a batch costs beside its records; counted so that pending bytes bound the file too.
constexpr size_t kBatchOverhead = kBatchHeaderBytes + 64;

/// Records that wait for the disk.
struct PendingBatch {
  uint64_t first_sequence = 0;
  int64_t time_ms = 0;
  uint32_t count = 0;
  std::vector<uint8_t> table;
  std::vector<uint8_t> data;

  size_t bytes() const { return count == 0 ? 0 : table.size() + data.size() + kBatchOverhead; }
  void clear() {
    count = 0;
    for (std::vector<uint8_t>* buffer : {&table, &data}) {
      buffer->clear();
      if (buffer->capacity() > kKeepBufferBytes) buffer->shrink_to_fit();
    }
  }
};

/// Tells the newest committed number on the owner's thread, by one posted call at a time.
struct Notifier {
  std::mutex mutex;
  uint64_t committed = 0;
  bool is_posted = false;
  bool is_closed = false;  // posted calls that come later tell nothing
  std::function<void(uint64_t)> on_committed;
  std::function<void(const Error&)> on_error;

  static void tell(const std::shared_ptr<Notifier>& self, uint64_t sequence,
                   const std::function<void(std::function<void()>)>& post) {
    if (!self->on_committed) return;
    {
      const std::lock_guard lock(self->mutex);
      self->committed = sequence;
      if (self->is_posted) return;
      self->is_posted = true;
    }
    const auto call = [self] {
      uint64_t newest = 0;
      {
        const std::lock_guard lock(self->mutex);
        self->is_posted = false;
        newest = self->committed;
        if (self->is_closed) return;
      }
      self->on_committed(newest);
    };
    post ? post(call) : call();
  }

  static void tell_error(const std::shared_ptr<Notifier>& self, const Error& error,
                         const std::function<void(std::function<void()>)>& post) {
    if (!self->on_error) return;
    const auto call = [self, error] {
      {
        const std::lock_guard lock(self->mutex);
        if (self->is_closed) return;
      }
      self->on_error(error);
    };
    post ? post(call) : call();
  }
};

}  // namespace

struct DurableLog::State {
  State(FileSystem& file_system, LogOptions log_options, BatchCodec batch_codec)
      : files(file_system), options(std::move(log_options)), codec(std::move(batch_codec)) {}

  void work();
  void write(PendingBatch& batch);
  Status try_write(PendingBatch& batch);
  Status open_segment(uint64_t first_sequence);
  void give_up_segment();
  void commit(const BatchHeader& header, uint64_t offset);
  void remove_trash();
  struct Place;
  std::optional<Place> place_of(uint64_t sequence, const LogPosition* position) const;

  FileSystem& files;
  LogOptions options;
  BatchCodec codec;  // of the worker
  std::mutex reader_mutex;
  BatchCodec reader_codec;
  std::unique_ptr<FileLock> lock;
  LogRecovery recovery;
  StreamId stream{};
  std::shared_ptr<Notifier> notifier = std::make_shared<Notifier>();

  mutable std::mutex mutex;
  std::condition_variable wake;      // the worker
  std::condition_variable finished;  // those in flush()
  std::vector<Segment> segments;
  bool has_active = false;  // batches go to the last segment
  PendingBatch pending;
  PendingBatch writing;
  size_t writing_bytes = 0;
  uint64_t segment_bytes = 0;  // sum of the segments' end offsets
  uint64_t committed = 0;
  uint64_t next = 1;
  uint64_t commits = 0;
  std::vector<std::string> trash;
  bool is_stopping = false;
  uint64_t failures = 0;
  Error last_error;
  std::thread worker;
};

void DurableLog::State::remove_trash() {
  std::vector<std::string> paths;
  {
    const std::lock_guard guard(mutex);
    paths.swap(trash);
  }
  // A file that stays is found again by the next open(), so an error here loses nothing.
  for (const std::string& path : paths) (void)files.remove(path);
  if (!paths.empty()) (void)files.sync_directory(options.directory);
}

Status DurableLog::State::open_segment(uint64_t first_sequence) {
  Segment segment;
  segment.path = segment_path(options.directory, first_sequence);
  segment.header = {first_sequence, stream, options.system_clock_ms(), codec.key_check(stream)};
  EW_TRY(segment.file, files.open(segment.path, OpenMode::kCreate));
  segment.end_offset = kSegmentPreambleBytes;
  segment.end_sequence = first_sequence;
  const auto preamble = encode_segment_preamble(segment.header);
  const Bytes parts[] = {preamble};
  EW_TRY_VOID(segment.file->append(parts));
  const std::lock_guard guard(mutex);
  segments.push_back(std::move(segment));
  segment_bytes += kSegmentPreambleBytes;
  has_active = true;
  return {};
}

/// After a failed write or sync nobody knows what of the segment's end reached the disk, and a
/// second fdatasync may claim success for lost pages; so the batch goes to a new segment.
void DurableLog::State::give_up_segment() {
  std::shared_ptr<File> file;
  uint64_t end = 0;
  std::string path;
  {
    const std::lock_guard guard(mutex);
    if (!has_active) return;
    has_active = false;
    file = segments.back().file;
    end = segments.back().end_offset;
    if (segments.back().index.empty()) {
      path = segments.back().path;
      segment_bytes -= segments.back().end_offset;
      segments.pop_back();
    }
  }
  (void)(path.empty() ? file->truncate(end) : files.remove(path));
}

Status DurableLog::State::try_write(PendingBatch& batch) {
  std::unique_lock guard(mutex);
  if (!has_active) {
    guard.unlock();
    EW_TRY_VOID(open_segment(batch.first_sequence));
    guard.lock();
  }
  const bool is_new = segments.back().index.empty();
  const std::shared_ptr<File> file = segments.back().file;
  const uint64_t offset = segments.back().end_offset;
  guard.unlock();
  BatchHeader header;
  header.first_sequence = batch.first_sequence;
  header.time_ms = batch.time_ms;
  header.count = batch.count;
  header.table_crc = crc32c(batch.table);
  const Bytes plain[] = {batch.table, batch.data};
  EW_TRY(std::vector<Bytes> parts, codec.encode(header, stream, plain));
  std::array<uint8_t, kBatchHeaderBytes> head{};
  encode_batch_header(header, stream, head.data());
  parts.insert(parts.begin(), Bytes(head));
  EW_TRY_VOID(file->append(parts));
  EW_TRY_VOID(file->sync_data());
  if (is_new) EW_TRY_VOID(files.sync_directory(options.directory));
  commit(header, offset);
  return {};
}

void DurableLog::State::commit(const BatchHeader& header, uint64_t offset) {
  {
    const std::lock_guard guard(mutex);
    Segment& segment = segments.back();
    segment_bytes -= segment.end_offset;
    segment.add_batch(header, offset);
    segment_bytes += segment.end_offset;
    committed = segment.end_sequence - 1;
    ++commits;
    writing_bytes = 0;
    if (segment.end_offset >= options.segment_bytes) has_active = false;
  }
  finished.notify_all();
  Notifier::tell(notifier, header.end_sequence() - 1, options.post);
}

void DurableLog::State::write(PendingBatch& batch) {
  while (true) {
    const Status status = try_write(batch);
    if (status.ok()) return;
    give_up_segment();
    Notifier::tell_error(notifier, status.error(), options.post);
    {
      std::unique_lock guard(mutex);
      last_error = status.error();
      ++failures;
      finished.notify_all();
      if (is_stopping) return;
      wake.wait_for(guard, options.retry_delay, [&] { return is_stopping || !trash.empty(); });
    }
    remove_trash();
  }
}

void DurableLog::State::work() {
  std::unique_lock guard(mutex);
  while (true) {
    wake.wait(guard, [&] { return pending.count > 0 || !trash.empty() || is_stopping; });
    if (pending.count == 0 && trash.empty()) return;
    std::swap(pending, writing);
    writing_bytes = writing.bytes();
    guard.unlock();
    remove_trash();
    if (writing.count > 0) write(writing);
    writing.clear();
    guard.lock();
    if (is_stopping && failures > 0) return;
  }
}

Result<std::unique_ptr<DurableLog>> DurableLog::open(FileSystem& files, LogOptions options) {
  if (options.directory.empty() || options.max_pending_bytes > (size_t{48} << 20) ||
      options.segment_bytes < 4096) {
    return invalid_argument(
        "log: expected a directory, max_pending_bytes up to 48 MiB and "
        "segment_bytes from 4096");
  }
  if (!options.system_clock_ms) options.system_clock_ms = [] { return system_clock_us() / 1000; };
  EW_TRY(BatchCodec codec, BatchCodec::create(options.compression_level, options.key));
  auto state = std::make_unique<State>(files, std::move(options), std::move(codec));
  EW_TRY_VOID(files.make_directory(state->options.directory));
  EW_TRY(state->lock, files.lock(state->options.directory + "/lock"));
  EW_TRY(RecoveredLog recovered, recover_log(files, state->options));
  state->recovery = std::move(recovered.report);
  state->segments = std::move(recovered.segments);
  state->stream = recovered.stream;
  if (state->stream == StreamId{} && ::getrandom(state->stream.data(), state->stream.size(), 0) !=
                                         static_cast<ssize_t>(state->stream.size())) {
    return make_error(ErrorCode::kIo, "log: the system gives no random bytes");
  }
  for (const Segment& segment : state->segments) state->segment_bytes += segment.end_offset;
  state->has_active =
      !state->segments.empty() && state->segments.back().end_offset < state->options.segment_bytes;
  state->next = recovered.next_sequence;
  state->committed = state->segments.empty() ? 0 : state->segments.back().end_sequence - 1;
  state->notifier->on_committed = state->options.on_committed;
  state->notifier->on_error = state->options.on_error;
  state->reader_codec = state->codec;
  State* raw = state.get();
  state->worker = std::thread([raw] { raw->work(); });
  return std::unique_ptr<DurableLog>(new DurableLog(std::move(state)));
}

DurableLog::DurableLog(std::unique_ptr<State> state) : state_(std::move(state)) {}

DurableLog::~DurableLog() {
  {
    const std::lock_guard guard(state_->mutex);
    state_->is_stopping = true;
    state_->failures = 0;
  }
  state_->wake.notify_all();
  state_->worker.join();
  const std::lock_guard guard(state_->notifier->mutex);
  state_->notifier->is_closed = true;
}

const LogRecovery& DurableLog::recovery() const { return state_->recovery; }

Result<uint64_t> DurableLog::append(std::span<const Bytes> parts) {
  State& s = *state_;
  size_t size = kRecordEntryBytes;
  for (const Bytes part : parts) size += part.size();
  const std::lock_guard guard(s.mutex);
  const size_t waiting = s.pending.bytes() + s.writing_bytes;
  if (waiting + size + kBatchOverhead > s.options.max_pending_bytes ||
      s.pending.count >= kMaxBatchRecords) {
    return make_error(ErrorCode::kResourceLimit, s.options.directory, ": a record of ", size,
                      " bytes, ", waiting, " wait for the disk, limit ",
                      s.options.max_pending_bytes);
  }
  if (s.segment_bytes + waiting + size + kBatchOverhead > s.options.max_bytes) {
    return make_error(ErrorCode::kResourceLimit, s.options.directory,
                      ": full: ", s.segment_bytes + waiting, " bytes of ", s.options.max_bytes);
  }
  PendingBatch& batch = s.pending;
  const bool is_first = batch.count == 0;
  if (is_first) {
    batch.first_sequence = s.next;
    batch.time_ms = s.options.system_clock_ms();
  }
  uint8_t number[8];
  store_le(number, s.next);
  uint32_t crc = crc32c(number);
  for (const Bytes part : parts) {
    crc = crc32c(part, crc);
    batch.data.insert(batch.data.end(), part.begin(), part.end());
  }
  uint8_t entry[kRecordEntryBytes];
  store_le(entry, static_cast<uint32_t>(size - kRecordEntryBytes));
  store_le(entry + 4, crc);
  batch.table.insert(batch.table.end(), std::begin(entry), std::end(entry));
  ++batch.count;
  if (is_first) s.wake.notify_one();
  return s.next++;
}

Status DurableLog::flush() {
  State& s = *state_;
  std::unique_lock guard(s.mutex);
  const uint64_t target = s.next - 1;
  const uint64_t failures = s.failures;
  const auto is_idle = [&] { return s.pending.count == 0 && s.writing_bytes == 0; };
  s.finished.wait(guard,
                  [&] { return s.committed >= target || is_idle() || s.failures != failures; });
  if (s.committed >= target || is_idle()) return {};
  return s.last_error;
}

void DurableLog::trim_before(uint64_t sequence) {
  State& s = *state_;
  const std::lock_guard guard(s.mutex);
  size_t count = 0;
  // The last segment stays: it keeps the numbers from coming again.
  while (count + 1 < s.segments.size() && s.segments[count].end_sequence <= sequence) {
    s.segment_bytes -= s.segments[count].end_offset;
    s.trash.push_back(s.segments[count].path);
    ++count;
  }
  s.segments.erase(s.segments.begin(), s.segments.begin() + static_cast<ptrdiff_t>(count));
  if (s.has_active && s.writing_bytes == 0 && s.segments.back().end_sequence <= sequence &&
      s.segments.back().end_offset >= kRollConsumedBytes) {
    s.has_active = false;
  }
  if (!s.trash.empty()) s.wake.notify_one();
}

/// Where in a segment to begin to look for a record.
struct DurableLog::State::Place {
  std::shared_ptr<File> file;
  uint64_t segment = 0;
  uint64_t offset = 0;
  uint64_t end_offset = 0;
  uint64_t first_sequence = 0;
  uint64_t end_sequence = 0;
};

std::optional<DurableLog::State::Place> DurableLog::State::place_of(
    uint64_t sequence, const LogPosition* position) const {
  const std::lock_guard guard(mutex);
  const auto segment =
      std::find_if(segments.begin(), segments.end(), [&](const Segment& candidate) {
        return candidate.end_sequence > sequence && !candidate.index.empty();
      });
  if (segment == segments.end()) return std::nullopt;
  Place place{segment->file,       segment->header.first_sequence,  segment->index.front().offset,
              segment->end_offset, segment->index.front().sequence, segment->end_sequence};
  if (position != nullptr && position->segment == place.segment && position->sequence == sequence &&
      position->offset >= place.offset) {
    place.offset = position->offset;
    return place;
  }
  const auto after =
      std::upper_bound(segment->index.begin(), segment->index.end(), sequence,
                       [](uint64_t value, const IndexEntry& e) { return value < e.sequence; });
  if (after != segment->index.begin()) place.offset = std::prev(after)->offset;
  return place;
}

namespace {

/// One call of DurableLog::read.
struct Reading {
  const DurableLog::Visitor& visit;
  size_t bytes_left;
  LogReadResult result;
  bool is_done = false;

  void lose_until(uint64_t end) {
    const uint64_t from = result.next_sequence;
    if (from >= end) return;
    std::vector<SequenceRange>& lost = result.lost;
    if (!lost.empty() && lost.back().last + 1 == from) {
      lost.back().last = end - 1;
    } else {
      lost.push_back({from, end - 1});
    }
    result.next_sequence = end;
  }

  void read_batch(const BatchHeader& batch, const Result<Bytes>& plain) {
    lose_until(batch.first_sequence);
    const auto take = [&](uint64_t sequence, std::optional<Bytes> record) {
      if (sequence < result.next_sequence) return true;
      if (!record) {
        lose_until(sequence + 1);
        return true;
      }
      result.next_sequence = sequence + 1;
      ++result.records;
      bytes_left -= std::min(bytes_left, record->size());
      is_done = !visit(sequence, batch.time_ms, *record) || bytes_left == 0;
      return !is_done;
    };
    const Status status = plain.ok() ? visit_records(batch, *plain, take) : Status(plain.error());
    if (!status.ok()) lose_until(batch.end_sequence());
  }
};

}  // namespace

Result<LogReadResult> DurableLog::read(uint64_t from, const Visitor& visit, LogPosition* position,
                                       size_t max_bytes) const {
  State& s = *state_;
  const std::lock_guard guard(s.reader_mutex);
  Reading reading{visit, max_bytes, {}, max_bytes == 0};
  reading.result.next_sequence = from;
  while (!reading.is_done) {
    const auto place = s.place_of(reading.result.next_sequence, position);
    if (!place) break;
    reading.lose_until(place->first_sequence);
    SegmentScanner scanner(*place->file, s.stream, place->offset, place->end_offset);
    while (!reading.is_done) {
      EW_TRY(const bool found, scanner.next());
      if (!found) break;
      const BatchHeader& batch = scanner.header();
      if (batch.end_sequence() <= reading.result.next_sequence) continue;
      EW_TRY(const Bytes stored, scanner.stored());
      reading.read_batch(batch, s.reader_codec.decode(batch, s.stream, stored));
      if (position == nullptr) continue;
      const bool is_whole = reading.result.next_sequence >= batch.end_sequence();
      *position = {reading.result.next_sequence, place->segment,
                   is_whole ? scanner.batch_end() : scanner.batch_offset()};
    }
    if (!reading.is_done) reading.lose_until(place->end_sequence);
  }
  return std::move(reading.result);
}

LogStats DurableLog::stats() const {
  const State& s = *state_;
  const std::lock_guard guard(s.mutex);
  LogStats stats;
  stats.pending_bytes = s.pending.bytes() + s.writing_bytes;
  stats.bytes = s.segment_bytes + stats.pending_bytes;
  stats.next_sequence = s.next;
  stats.committed_sequence = s.committed;
  stats.segments = s.segments.size();
  stats.commits = s.commits;
  stats.first_sequence = s.committed + 1;
  if (!s.segments.empty() && !s.segments.front().index.empty()) {
    stats.first_sequence = s.segments.front().index.front().sequence;
    stats.oldest_time_ms = s.segments.front().first_time_ms;
  }
  return stats;
}

}  // namespace ew::host
