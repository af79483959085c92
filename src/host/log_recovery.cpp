#include <algorithm>
#include <charconv>
#include <cstdio>

#include "host/log_segments.h"

namespace ew::host {
namespace {

constexpr std::string_view kSuffix = ".log";
constexpr size_t kNameDigits = 20;
constexpr size_t kMaxFindings = 1000;

/// The first sequence that a segment's name carries, or nothing for other files.
std::optional<uint64_t> sequence_of_name(const std::string& name) {
  if (name.size() != kNameDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  uint64_t sequence = 0;
  const char* end = name.data() + kNameDigits;
  const auto [stop, error] = std::from_chars(name.data(), end, sequence);
  if (error != std::errc() || stop != end || sequence == 0) return std::nullopt;
  return sequence;
}

/// Recovery of one folder, segment after segment.
class Recovery {
 public:
  Recovery(FileSystem& files, const LogOptions& options, BatchCodec codec)
      : files_(files), options_(options), codec_(std::move(codec)) {}

  Result<RecoveredLog> run();

 private:
  Status open_segments();
  Status agree_on_stream();
  Status scan(Segment& segment, bool is_last);
  Result<std::vector<SequenceRange>> damaged_records(SegmentScanner& scanner,
                                                     const Segment& segment);
  /// False if the batch is the torn end of the log.
  Result<bool> take_batch(SegmentScanner& scanner, Segment& segment, bool is_at_end);
  void finding(const Segment& segment, uint64_t offset, const std::string& what);
  void lose(std::vector<SequenceRange>& ranges, uint64_t first, uint64_t last);

  FileSystem& files_;
  const LogOptions& options_;
  BatchCodec codec_;
  RecoveredLog log_;
  std::vector<bool> is_readable_;
  uint64_t expected_ = 0;  ///< the next number, 0 before the first segment
  uint64_t limit_ = 0;     ///< where the next segment begins
};

void Recovery::finding(const Segment& segment, uint64_t offset, const std::string& what) {
  if (log_.report.findings.size() >= kMaxFindings) return;
  log_.report.findings.push_back(str(segment.path, ", byte ", offset, ": ", what));
}

void Recovery::lose(std::vector<SequenceRange>& ranges, uint64_t first, uint64_t last) {
  if (!ranges.empty() && ranges.back().last + 1 == first) {
    ranges.back().last = last;
  } else {
    ranges.push_back({first, last});
  }
}

Status Recovery::open_segments() {
  EW_TRY(const std::vector<std::string> names, files_.list(options_.directory));
  for (const std::string& name : names) {
    const std::optional<uint64_t> sequence = sequence_of_name(name);
    if (!sequence) continue;
    Segment segment;
    segment.path = str(options_.directory, "/", name);
    EW_TRY(segment.file, files_.open(segment.path, OpenMode::kReadWrite));
    std::array<uint8_t, kSegmentPreambleBytes> preamble{};
    EW_TRY(const size_t read, segment.file->pread(0, preamble));
    const auto header = parse_segment_preamble(Bytes(preamble).first(read));
    const bool is_readable = header && header->first_sequence == *sequence;
    if (is_readable) segment.header = *header;
    segment.header.first_sequence = *sequence;
    segment.end_sequence = *sequence;
    segment.end_offset = kSegmentPreambleBytes;
    is_readable_.push_back(is_readable);
    log_.segments.push_back(std::move(segment));
  }
  return {};
}

Status Recovery::agree_on_stream() {
  const Segment* first = nullptr;
  for (size_t i = 0; i < log_.segments.size(); ++i) {
    if (!is_readable_[i]) continue;
    const Segment& segment = log_.segments[i];
    if (first == nullptr) first = &segment;
    if (segment.header.stream != first->header.stream) {
      return invalid_data(segment.path, ": belongs to another log than ", first->path,
                          "; move it out of the folder");
    }
    const uint64_t expected = codec_.key_check(segment.header.stream);
    if (segment.header.key_check == expected) continue;
    const char* what = expected == 0 ? ": is encrypted; name its key"
                       : segment.header.key_check == 0
                           ? ": is not encrypted; read it without a key"
                           : ": the key is not the one it was written with";
    return invalid_argument(segment.path, what);
  }
  if (first != nullptr) log_.stream = first->header.stream;
  return {};
}

Result<std::vector<SequenceRange>> Recovery::damaged_records(SegmentScanner& scanner,
                                                             const Segment& segment) {
  const BatchHeader& batch = scanner.header();
  std::vector<SequenceRange> bad;
  EW_TRY(const Bytes stored, scanner.stored());
  const Result<Bytes> plain = codec_.decode(batch, log_.stream, stored);
  Status status = plain.ok() ? Status() : Status(plain.error());
  if (plain.ok()) {
    status = visit_records(batch, *plain, [&](uint64_t sequence, std::optional<Bytes> record) {
      if (record) return true;
      finding(segment, scanner.batch_offset(), str("record ", sequence, " is damaged"));
      lose(bad, sequence, sequence);
      return true;
    });
  }
  if (!status.ok()) {
    finding(segment, scanner.batch_offset(), status.error().message);
    lose(bad, batch.first_sequence, batch.end_sequence() - 1);
  }
  return bad;
}

Result<bool> Recovery::take_batch(SegmentScanner& scanner, Segment& segment, bool is_at_end) {
  const BatchHeader& batch = scanner.header();
  EW_TRY(const std::vector<SequenceRange> bad, damaged_records(scanner, segment));
  // The end of the last segment is where a loss of power leaves a batch that was not committed.
  const bool was_committed = !is_at_end || batch.first_sequence < options_.minimum_next_sequence;
  if (!bad.empty() && !was_committed) {
    lose(log_.report.torn, batch.first_sequence, batch.end_sequence() - 1);
    return false;
  }
  if (batch.first_sequence > expected_) {
    lose(log_.report.lost, expected_, batch.first_sequence - 1);
  }
  for (const SequenceRange& range : bad) lose(log_.report.lost, range.first, range.last);
  segment.add_batch(batch, scanner.batch_offset());
  expected_ = batch.end_sequence();
  return true;
}

Status Recovery::scan(Segment& segment, bool is_last) {
  EW_TRY(const uint64_t size, segment.file->size());
  const uint64_t begin = std::min<uint64_t>(size, kSegmentPreambleBytes);
  SegmentScanner scanner(*segment.file, log_.stream, begin, size);
  while (true) {
    EW_TRY(const bool found, scanner.next());
    if (scanner.skipped_bytes() > 0) {
      log_.report.skipped_bytes += scanner.skipped_bytes();
      const uint64_t at = found ? scanner.batch_offset() : size;
      finding(segment, at - scanner.skipped_bytes(),
              str(scanner.skipped_bytes(), " bytes are no batch"));
    }
    if (!found) break;
    // A batch that the next segment holds again: its first writing was given up.
    if (scanner.header().first_sequence >= limit_) break;
    if (scanner.header().first_sequence < expected_) continue;
    EW_TRY(const bool taken, take_batch(scanner, segment, is_last && scanner.batch_end() == size));
    if (!taken) break;
  }
  if (!is_last) return {};
  if (scanner.cut_off() && scanner.cut_off()->first_sequence == expected_ &&
      expected_ >= options_.minimum_next_sequence) {
    lose(log_.report.torn, expected_, scanner.cut_off()->end_sequence() - 1);
  }
  if (segment.end_offset < size) EW_TRY_VOID(segment.file->truncate(segment.end_offset));
  return segment.file->sync_data();
}

Result<RecoveredLog> Recovery::run() {
  EW_TRY_VOID(open_segments());
  EW_TRY_VOID(agree_on_stream());
  std::vector<Segment> kept;
  for (size_t i = 0; i < log_.segments.size(); ++i) {
    Segment& segment = log_.segments[i];
    const bool is_last = i + 1 == log_.segments.size();
    const uint64_t first = segment.header.first_sequence;
    limit_ = is_last ? UINT64_MAX : log_.segments[i + 1].header.first_sequence;
    expected_ = std::max(expected_, first);
    if (is_readable_[i]) {
      EW_TRY_VOID(scan(segment, is_last));
    } else {
      finding(segment, 0, "both copies of the header are damaged");
      // A last one without a header was being created: nothing in it was committed.
    }
    if (segment.index.empty()) {
      EW_TRY_VOID(files_.remove(segment.path));
    } else {
      kept.push_back(std::move(segment));
    }
    if (!is_last && expected_ < limit_) {
      lose(log_.report.lost, expected_, limit_ - 1);
      expected_ = limit_;
    }
  }
  if (log_.segments.size() != kept.size()) EW_TRY_VOID(files_.sync_directory(options_.directory));
  log_.segments = std::move(kept);
  log_.next_sequence = std::max({expected_, options_.minimum_next_sequence, uint64_t{1}});
  if (expected_ != 0 && expected_ < log_.next_sequence) {
    lose(log_.report.lost, expected_, log_.next_sequence - 1);
  }
  return std::move(log_);
}

}  // namespace

void Segment::add_batch(const BatchHeader& batch, uint64_t offset) {
  if (index.empty()) first_time_ms = batch.time_ms;
  if (index.empty() || offset - index.back().offset >= kIndexStepBytes) {
    index.push_back({batch.first_sequence, offset});
  }
  end_offset = offset + kBatchHeaderBytes + batch.stored_bytes;
  end_sequence = batch.end_sequence();
}

std::string segment_path(const std::string& directory, uint64_t first_sequence) {
  char name[kNameDigits + 1];
  std::snprintf(name, sizeof(name), "%020llu", static_cast<unsigned long long>(first_sequence));
  return str(directory, "/", name, kSuffix);
}

Result<RecoveredLog> recover_log(FileSystem& files, const LogOptions& options) {
  EW_TRY(BatchCodec codec, BatchCodec::create(options.compression_level, options.key));
  return Recovery(files, options, std::move(codec)).run();
}

}  // namespace ew::host
