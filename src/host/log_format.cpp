#include "host/log_format.h"

#include <algorithm>

#include "base/crc32c.h"

namespace ew::host {
namespace {

constexpr std::array<uint8_t, 8> kMagic = {'E', 'W', 'L', 'O', 'G', '0', '0', '1'};
constexpr std::array<uint8_t, 4> kMarker = {'E', 'W', 'B', 0xB7};
constexpr size_t kReadBytes = size_t{128} << 10;

}  // namespace

std::array<uint8_t, kSegmentPreambleBytes> encode_segment_preamble(const SegmentHeader& header) {
  std::array<uint8_t, kSegmentPreambleBytes> out{};
  std::copy(kMagic.begin(), kMagic.end(), out.begin());
  store_le(&out[8], header.first_sequence);
  std::copy(header.stream.begin(), header.stream.end(), &out[16]);
  store_le(&out[32], header.created_ms);
  store_le(&out[40], header.key_check);
  store_le(&out[48], crc32c(Bytes(out).first(48)));
  std::copy_n(out.begin(), kSegmentHeaderBytes, &out[kSegmentHeaderBytes]);
  return out;
}

std::optional<SegmentHeader> parse_segment_preamble(Bytes bytes) {
  for (const size_t start : {size_t{0}, kSegmentHeaderBytes}) {
    if (bytes.size() < start + kSegmentHeaderBytes) break;
    const Bytes copy = bytes.subspan(start, kSegmentHeaderBytes);
    if (!std::equal(kMagic.begin(), kMagic.end(), copy.begin())) continue;
    if (load_le<uint32_t>(&copy[48]) != crc32c(copy.first(48))) continue;
    SegmentHeader header;
    header.first_sequence = load_le<uint64_t>(&copy[8]);
    std::copy_n(&copy[16], header.stream.size(), header.stream.begin());
    header.created_ms = load_le<int64_t>(&copy[32]);
    header.key_check = load_le<uint64_t>(&copy[40]);
    return header;
  }
  return std::nullopt;
}

void encode_batch_header(const BatchHeader& header, const StreamId& stream, uint8_t* out) {
  std::copy(kMarker.begin(), kMarker.end(), out);
  store_le(out + 8, header.first_sequence);
  store_le(out + 16, header.time_ms);
  store_le(out + 24, header.count);
  store_le(out + 28, header.stored_bytes);
  store_le(out + 32, header.plain_bytes);
  store_le(out + 36, header.flags);
  store_le(out + 40, header.table_crc);
  store_le(out + 4, crc32c({out + 8, kBatchHeaderBytes - 8}, crc32c(stream)));
}

std::optional<BatchHeader> parse_batch_header(const uint8_t* bytes, const StreamId& stream) {
  if (!std::equal(kMarker.begin(), kMarker.end(), bytes)) return std::nullopt;
  const uint32_t crc = crc32c({bytes + 8, kBatchHeaderBytes - 8}, crc32c(stream));
  if (load_le<uint32_t>(bytes + 4) != crc) return std::nullopt;
  BatchHeader header;
  header.first_sequence = load_le<uint64_t>(bytes + 8);
  header.time_ms = load_le<int64_t>(bytes + 16);
  header.count = load_le<uint32_t>(bytes + 24);
  header.stored_bytes = load_le<uint32_t>(bytes + 28);
  header.plain_bytes = load_le<uint32_t>(bytes + 32);
  header.flags = load_le<uint32_t>(bytes + 36);
  header.table_crc = load_le<uint32_t>(bytes + 40);
  const bool is_sane = header.count > 0 && header.count <= kMaxBatchRecords &&
                       header.plain_bytes <= kMaxBatchBytes &&
                       header.stored_bytes <= kMaxBatchBytes + 1024 &&
                       header.plain_bytes >= header.count * kRecordEntryBytes &&
                       header.first_sequence < UINT64_MAX - header.count && header.flags <= 3;
  if (!is_sane) return std::nullopt;
  return header;
}

uint32_t record_crc(uint64_t sequence, Bytes record) {
  uint8_t number[8];
  store_le(number, sequence);
  return crc32c(record, crc32c(number));
}

Status visit_records(const BatchHeader& header, Bytes plain, const RecordVisitor& visit) {
  const size_t table_bytes = size_t{header.count} * kRecordEntryBytes;
  if (plain.size() < table_bytes || crc32c(plain.first(table_bytes)) != header.table_crc) {
    return invalid_data("the table of a batch is damaged");
  }
  size_t at = table_bytes;
  for (uint32_t i = 0; i < header.count; ++i) {
    const size_t length = load_le<uint32_t>(&plain[i * kRecordEntryBytes]);
    const uint32_t crc = load_le<uint32_t>(&plain[i * kRecordEntryBytes + 4]);
    const uint64_t sequence = header.first_sequence + i;
    std::optional<Bytes> record;
    if (length <= plain.size() - at) {
      const Bytes bytes = plain.subspan(at, length);
      if (record_crc(sequence, bytes) == crc) record = bytes;
      at += length;
    } else {
      at = plain.size();
    }
    if (!visit(sequence, record)) break;
  }
  return {};
}

SegmentScanner::SegmentScanner(const File& file, const StreamId& stream, uint64_t offset,
                               uint64_t end)
    : file_(file), stream_(stream), offset_(offset), end_(end) {}

Result<Bytes> SegmentScanner::window(uint64_t offset, size_t at_least) {
  size_t size = static_cast<size_t>(std::min<uint64_t>(at_least, end_ - offset));
  const bool is_there =
      offset >= buffer_offset_ && offset - buffer_offset_ + size <= buffer_.size();
  if (!is_there) {
    const auto wanted =
        static_cast<size_t>(std::min<uint64_t>(std::max(size, kReadBytes), end_ - offset));
    buffer_.resize(wanted);
    buffer_offset_ = offset;
    EW_TRY(const size_t read, file_.pread(offset, buffer_));
    buffer_.resize(read);
    // A file that shrank under us ends where it ends.
    if (read < wanted) end_ = offset + read;
  }
  return Bytes(buffer_).subspan(static_cast<size_t>(offset - buffer_offset_));
}

Result<bool> SegmentScanner::next() {
  skipped_ = 0;
  cut_off_.reset();
  while (offset_ + kBatchHeaderBytes <= end_) {
    EW_TRY(const Bytes bytes, window(offset_, kBatchHeaderBytes));
    if (bytes.size() < kBatchHeaderBytes) break;
    const std::optional<BatchHeader> header = parse_batch_header(bytes.data(), stream_);
    if (header && header->stored_bytes <= end_ - offset_ - kBatchHeaderBytes) {
      header_ = *header;
      batch_offset_ = offset_;
      offset_ = batch_end();
      return true;
    }
    // Look for the next marker in what the buffer holds.
    if (header) cut_off_ = header;
    EW_TRY(const Bytes ahead, window(offset_ + 1, kMarker.size()));
    const auto found = std::search(ahead.begin(), ahead.end(), kMarker.begin(), kMarker.end());
    auto step = static_cast<uint64_t>(found - ahead.begin());
    // A marker may lie across the end of the buffer.
    if (found == ahead.end() && step >= kMarker.size()) step -= kMarker.size() - 1;
    offset_ += 1 + step;
    skipped_ += 1 + step;
  }
  if (end_ > offset_) skipped_ += end_ - offset_;
  offset_ = end_;
  return false;
}

Result<Bytes> SegmentScanner::stored() {
  EW_TRY(const Bytes bytes, window(batch_offset_ + kBatchHeaderBytes, header_.stored_bytes));
  if (bytes.size() < header_.stored_bytes) return invalid_data("a batch ends early");
  return bytes.first(header_.stored_bytes);
}

}  // namespace ew::host
