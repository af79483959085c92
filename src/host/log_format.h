#pragma once
// The bytes of a durable log: segments of batches of records. docs/formats/log.md specifies them.
// Everything here reads hostile bytes: sizes are checked before use.

#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"
#include "host/bytes.h"
#include "host/file_system.h"
#include "host/secret_key.h"

namespace ew::host {

struct SodiumPlugin;
struct ZstdPlugin;

using StreamId = std::array<uint8_t, 16>;

constexpr size_t kSegmentHeaderBytes = 52;
/// The header stands twice, so that one damaged bit does not cost the segment.
constexpr size_t kSegmentPreambleBytes = 2 * kSegmentHeaderBytes;
constexpr size_t kBatchHeaderBytes = 44;
constexpr size_t kRecordEntryBytes = 8;
constexpr size_t kMaxBatchBytes = size_t{64} << 20;
constexpr uint32_t kMaxBatchRecords = 1 << 20;

struct SegmentHeader {
  uint64_t first_sequence = 0;
  StreamId stream{};
  int64_t created_ms = 0;  ///< system clock
  uint64_t key_check = 0;  ///< tells a wrong key from damage; 0 without encryption

  bool operator==(const SegmentHeader&) const = default;
};

std::array<uint8_t, kSegmentPreambleBytes> encode_segment_preamble(const SegmentHeader& header);
/// From whichever copy is whole, or nothing.
std::optional<SegmentHeader> parse_segment_preamble(Bytes bytes);

constexpr uint32_t kBatchCompressed = 1;
constexpr uint32_t kBatchEncrypted = 2;

struct BatchHeader {
  uint64_t first_sequence = 0;
  int64_t time_ms = 0;  ///< system clock when its first record was appended
  uint32_t count = 0;
  uint32_t stored_bytes = 0;  ///< behind the header
  uint32_t plain_bytes = 0;   ///< table and records, before compression and encryption
  uint32_t flags = 0;
  uint32_t table_crc = 0;

  uint64_t end_sequence() const { return first_sequence + count; }
  bool operator==(const BatchHeader&) const = default;
};

void encode_batch_header(const BatchHeader& header, const StreamId& stream, uint8_t* out);
/// Nothing unless marker, checksum and ranges are right. The checksum covers the stream's id, so
/// that bytes inside a record cannot pose as a batch.
std::optional<BatchHeader> parse_batch_header(const uint8_t* bytes, const StreamId& stream);

/// The checksum of one record, which covers its number.
uint32_t record_crc(uint64_t sequence, Bytes record);

/// Compresses and encrypts batches, and the reverse. Not thread-safe.
class BatchCodec {
 public:
  /// Loads the plug-ins that are needed. Without a key, encrypted batches are errors.
  static Result<BatchCodec> create(int compression_level, const std::optional<SecretKey>& key);

  /// What SegmentHeader::key_check holds for this key.
  uint64_t key_check(const StreamId& stream) const;

  /// Turns `parts` (table, records) into what is stored, and completes the header. The result's
  /// parts point into `parts` or into this codec, and hold until the next call.
  Result<std::vector<Bytes>> encode(BatchHeader& header, const StreamId& stream,
                                    std::span<const Bytes> parts);

  /// The plain bytes, valid until the next call. Error kInvalidData if the batch is damaged.
  Result<Bytes> decode(const BatchHeader& header, const StreamId& stream, Bytes stored);

 private:
  int compression_level_ = 0;
  std::optional<SecretKey> key_;
  const SodiumPlugin* sodium_ = nullptr;
  const ZstdPlugin* zstd_ = nullptr;
  std::vector<uint8_t> compressed_;
  std::vector<uint8_t> sealed_;
};

/// Calls visit(sequence, record) for each record; a damaged one has no value. False from `visit`
/// ends the walk. Error kInvalidData if the table is damaged; nothing has been visited then.
using RecordVisitor = std::function<bool(uint64_t sequence, std::optional<Bytes> record)>;
Status visit_records(const BatchHeader& header, Bytes plain, const RecordVisitor& visit);

/// Walks the batches of one segment through a buffer of bounded size.
class SegmentScanner {
 public:
  /// Walks [offset, end) of `file`, which must outlive this.
  SegmentScanner(const File& file, const StreamId& stream, uint64_t offset, uint64_t end);

  /// Finds the next batch whose header is whole and which lies in the file; false at the end.
  /// Bytes that are no batch are skipped and counted. Error kIo.
  Result<bool> next();
  const BatchHeader& header() const { return header_; }
  uint64_t batch_offset() const { return batch_offset_; }
  uint64_t batch_end() const { return batch_offset_ + kBatchHeaderBytes + header_.stored_bytes; }
  /// Bytes skipped since the batch before; behind the last one if next() returned false.
  uint64_t skipped_bytes() const { return skipped_; }
  /// After next() returned false: the header of a batch that the file's end cuts off.
  const std::optional<BatchHeader>& cut_off() const { return cut_off_; }

  /// The bytes behind the header, valid until the next call.
  Result<Bytes> stored();

 private:
  /// All that is buffered from `offset` on: at least `at_least` bytes, or up to the segment's end.
  Result<Bytes> window(uint64_t offset, size_t at_least);

  const File& file_;
  StreamId stream_;
  uint64_t offset_;
  uint64_t end_;
  BatchHeader header_;
  uint64_t batch_offset_ = 0;
  uint64_t skipped_ = 0;
  std::optional<BatchHeader> cut_off_;
  std::vector<uint8_t> buffer_;
  uint64_t buffer_offset_ = 0;
};

}  // namespace ew::host
