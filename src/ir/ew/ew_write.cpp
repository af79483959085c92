#include <algorithm>

#include "base/crc32c.h"
#include "ir/ew/graph_codec.h"
#include "ir/ew/layout.h"

namespace ew::ir {

using namespace ew_format;  // NOLINT: one format, several files

namespace {

std::vector<uint8_t> packed_bytes(const PackedSection& packed) {
  ByteWriter w;
  w.text(packed.target);
  w.put(packed.version);
  w.put(static_cast<uint32_t>(packed.parts.size()));
  for (const PackedPart& part : packed.parts) {
    w.put(part.node);
    w.put(part.digest);
    w.put(static_cast<uint64_t>(part.block.size()));
    w.list(part.facts);
  }
  for (const PackedPart& part : packed.parts) {
    w.align(kAlignment);
    w.append(part.block);
    w.align(kAlignment);
    w.append(std::vector<uint8_t>(kPackedSlack, 0));
  }
  w.align(kAlignment);
  return std::move(w.bytes());
}

struct Part {
  Kind kind;
  std::vector<uint8_t> bytes;
};

std::vector<uint8_t> header_of(std::span<const Part> parts, size_t signature_bytes) {
  ByteWriter w;
  w.append(kMagic);
  w.put(kVersion);
  w.put(uint32_t{0});  // the checksum
  const size_t start = header_bytes(parts.size());
  size_t size = start;
  for (const Part& part : parts) size += part.bytes.size();
  w.put(static_cast<uint64_t>(size + signature_bytes));
  w.put(static_cast<uint32_t>(parts.size()));
  w.put(static_cast<uint32_t>(signature_bytes));
  size_t offset = start;
  for (const Part& part : parts) {
    w.append(part.kind);
    w.put(crc32c(part.bytes));
    w.put(static_cast<uint64_t>(offset));
    w.put(static_cast<uint64_t>(part.bytes.size()));
    offset += part.bytes.size();
  }
  w.align(kAlignment);
  const uint32_t sum = header_checksum(w.bytes());
  std::memcpy(w.bytes().data() + kChecksumAt, &sum, sizeof(sum));
  return std::move(w.bytes());
}

}  // namespace

Result<std::vector<uint8_t>> write_ew(const Model& model, const PackedSection* packed,
                                      const Signer& signer) {
  if (!model.graph.updates.empty() || !model.graph.losses.empty()) {
    return unsupported("an .ew file holds a graph for inference; this one updates its parameters");
  }
  // Biases and the like come first, side by side: with weights between them, which packed layers
  // never look at, every one of them would make pages resident that nothing needs.
  constexpr size_t kFewBytes = 4096;
  const auto is_small = [](const Tensor& tensor) { return tensor.size_bytes() <= kFewBytes; };
  ByteWriter data;
  ByteWriter large;
  ByteWriter graph;
  const auto append = [](ByteWriter& to, const Tensor& tensor) -> uint64_t {
    to.align(kAlignment);
    const uint64_t at = to.size();
    to.append({static_cast<const uint8_t*>(tensor.data()), tensor.size_bytes()});
    return at;
  };
  ByteWriter unused;
  put_model(unused, model, [&](const Tensor& tensor) -> uint64_t {
    return is_small(tensor) ? append(data, tensor) : 0;
  });
  data.align(kAlignment);
  uint64_t next = 0;
  put_model(graph, model, [&](const Tensor& tensor) -> uint64_t {
    if (!is_small(tensor)) return data.size() + append(large, tensor);
    const uint64_t at = next;
    next = (at + tensor.size_bytes() + kAlignment - 1) / kAlignment * kAlignment;
    return at;
  });
  data.append(large.bytes());
  graph.align(kAlignment);
  data.align(kAlignment);
  std::vector<Part> parts;
  parts.push_back({kGraphKind, std::move(graph.bytes())});
  parts.push_back({kDataKind, std::move(data.bytes())});
  if (packed != nullptr) parts.push_back({kPackedKind, packed_bytes(*packed)});
  std::vector<uint8_t> file = header_of(parts, signer ? kSignatureBytes : 0);
  for (const Part& part : parts) file.insert(file.end(), part.bytes.begin(), part.bytes.end());
  if (!signer) return file;
  EW_TRY(const EwSignature signature, signer(file));
  ByteWriter block;
  block.append(kSignatureMagic);
  block.append(signature.public_key);
  block.append(signature.signature);
  block.put(crc32c(block.bytes()));
  file.insert(file.end(), block.bytes().begin(), block.bytes().end());
  return file;
}

}  // namespace ew::ir
