// Segments of a durable log: the bytes as a file, and the bytes as the fields and the content of a
// batch whose checksums are right, because no fuzzer guesses a checksum.
#include <algorithm>

#include "base/crc32c.h"
#include "host/log_format.h"
#include "targets.h"

namespace ew::fuzz {
namespace {

class MemoryFile final : public host::File {
 public:
  explicit MemoryFile(Bytes bytes) : bytes_(bytes) {}
  Status append(std::span<const Bytes>) override { return {}; }
  Result<size_t> pread(uint64_t offset, std::span<uint8_t> out) const override {
    if (offset >= bytes_.size()) return size_t{0};
    const size_t size = std::min<size_t>(out.size(), bytes_.size() - offset);
    std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(offset), size, out.begin());
    return size;
  }
  Status sync_data() override { return {}; }
  Status truncate(uint64_t) override { return {}; }
  Result<uint64_t> size() const override { return bytes_.size(); }

 private:
  Bytes bytes_;
};

void walk(Bytes segment) {
  const auto header = host::parse_segment_preamble(segment);
  const host::StreamId stream = header ? header->stream : host::StreamId{};
  Result<host::BatchCodec> codec = host::BatchCodec::create(0, std::nullopt);
  if (!codec.ok()) return;
  const MemoryFile file(segment);
  host::SegmentScanner scanner(file, stream, std::min(segment.size(), host::kSegmentPreambleBytes),
                               segment.size());
  uint64_t end = 0;
  while (true) {
    const Result<bool> found = scanner.next();
    if (!found.ok() || !*found) break;
    require(scanner.batch_offset() >= end && scanner.batch_end() <= segment.size(),
            "batches lie one behind the other");
    end = scanner.batch_end();
    if (scanner.header().plain_bytes > (1u << 22)) continue;
    const Result<Bytes> stored = scanner.stored();
    require(stored.ok(), "a batch that was found is there");
    const Result<Bytes> plain = codec->decode(scanner.header(), stream, *stored);
    if (!plain.ok()) continue;
    uint64_t next = scanner.header().first_sequence;
    (void)host::visit_records(scanner.header(), *plain, [&](uint64_t sequence, auto record) {
      require(sequence == next++, "records are numbered in order");
      if (record) (void)crc32c(*record);  // reads all of it
      return true;
    });
  }
}

void walk_sealed(Bytes bytes) {
  if (bytes.size() < host::kBatchHeaderBytes) return;
  const host::SegmentHeader segment_header{.first_sequence = 1};
  const auto preamble = host::encode_segment_preamble(segment_header);
  host::BatchHeader batch;
  const Bytes content = bytes.subspan(host::kBatchHeaderBytes);
  batch.first_sequence = bytes[0];
  batch.count = 1 + bytes[1] % 64;
  batch.flags = bytes[2] % 4;
  batch.stored_bytes = static_cast<uint32_t>(content.size());
  batch.plain_bytes = batch.flags == 0 ? batch.stored_bytes : host::load_le<uint32_t>(&bytes[3]);
  batch.table_crc =
      crc32c(content.first(std::min(content.size(), batch.count * host::kRecordEntryBytes)));
  std::vector<uint8_t> segment(preamble.begin(), preamble.end());
  segment.resize(segment.size() + host::kBatchHeaderBytes);
  host::encode_batch_header(batch, segment_header.stream, &segment[host::kSegmentPreambleBytes]);
  segment.insert(segment.end(), content.begin(), content.end());
  walk(segment);
}

}  // namespace

void log_segment(Bytes bytes) {
  walk(bytes);
  walk_sealed(bytes);
}

}  // namespace ew::fuzz
