#include <algorithm>

#include "ir/ew/graph_codec.h"
#include "ir/ew/layout.h"

namespace ew::ir {

using namespace ew_format;  // NOLINT: one format, several files

namespace {

struct Section {
  Kind kind{};
  uint32_t checksum = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

struct Header {
  std::vector<Section> sections;
  uint64_t signed_bytes = 0;  // all but the signature block
  bool is_signed = false;
};

constexpr size_t kMaxSections = 3;

Result<Header> read_header(std::span<const uint8_t> file) {
  if (!is_ew(file)) return invalid_data("expected an .ew file, found another beginning");
  if (file.size() < header_bytes(0)) return invalid_data("the file ends inside its header");
  ByteReader r(file);
  r.take(kMagic.size());
  const auto version = r.get<uint32_t>();
  if (version != kVersion) {
    return unsupported("written in version ", version, " of the .ew format; this program reads ",
                       kVersion, " (convert the model again)");
  }
  const auto checksum = r.get<uint32_t>();
  const auto size = r.get<uint64_t>();
  const auto sections = size_t{r.get<uint32_t>()};
  const auto signature = r.get<uint32_t>();
  const size_t start = header_bytes(std::min(sections, kMaxSections));
  if (sections < 2 || sections > kMaxSections || file.size() < start) {
    return invalid_data("expected 2 or 3 sections, found ", sections);
  }
  if (header_checksum(file.first(start)) != checksum) {
    return invalid_data("the header is damaged (its checksum differs)");
  }
  if (size != file.size()) {
    return invalid_data("expected ", size, " bytes, found ", file.size(), ": the file is cut");
  }
  if (signature != 0 && (signature != kSignatureBytes || size < start + signature)) {
    return invalid_data("expected a signature of ", kSignatureBytes, " bytes, found ", signature);
  }
  Header header{.sections = {}, .signed_bytes = size - signature, .is_signed = signature != 0};
  uint64_t end = start;
  constexpr Kind kOrder[] = {kGraphKind, kDataKind, kPackedKind};
  for (size_t i = 0; i < sections; ++i) {
    Section s;
    std::copy_n(r.take(s.kind.size()).data(), s.kind.size(), s.kind.data());
    s.checksum = r.get<uint32_t>();
    s.offset = r.get<uint64_t>();
    s.bytes = r.get<uint64_t>();
    if (s.kind != kOrder[i] || s.offset != end || s.bytes % kAlignment != 0 ||
        s.bytes > header.signed_bytes - end) {
      return invalid_data("section ", i, " of the header is not where it should be");
    }
    end += s.bytes;
    header.sections.push_back(s);
  }
  if (end != header.signed_bytes) return invalid_data("bytes behind the last section");
  return header;
}

// Sections that are used now are summed in place; constants may never be looked at again.
Status check_sections(const MappedFile& file, const Header& header) {
  for (const Section& s : header.sections) {
    uint32_t sum = 0;
    if (s.kind == kDataKind) {
      EW_TRY(sum, file.checksum(s.offset, s.bytes));
    } else {
      sum = crc32c(file.bytes().subspan(s.offset, s.bytes));
    }
    if (sum != s.checksum) {
      return invalid_data("the section ",
                          std::string_view(reinterpret_cast<const char*>(s.kind.data()), 4),
                          " is damaged (its checksum differs)");
    }
  }
  return {};
}

Status check_signature(std::span<const uint8_t> file, const Header& header,
                       const Verifier& verifier) {
  const auto message = file.first(header.signed_bytes);
  if (!header.is_signed) return verifier ? verifier(message, nullptr) : Status();
  ByteReader r(file.subspan(header.signed_bytes));
  const auto magic = r.take(kSignatureMagic.size());
  EwSignature signature;
  std::ranges::copy(r.take(signature.public_key.size()), signature.public_key.begin());
  std::ranges::copy(r.take(signature.signature.size()), signature.signature.begin());
  const size_t summed = r.at();
  if (!std::ranges::equal(magic, kSignatureMagic) ||
      r.get<uint32_t>() != crc32c(file.subspan(header.signed_bytes, summed))) {
    return invalid_data("the signature block is damaged");
  }
  return verifier ? verifier(message, &signature) : Status();
}

Result<PackedSection> read_packed(std::span<const uint8_t> bytes) {
  ByteReader r(bytes);
  PackedSection packed;
  packed.target = r.text();
  packed.version = r.get<uint32_t>();
  const size_t count = r.count(4 + 4 + 8 + 4);
  std::vector<uint64_t> sizes;
  for (size_t i = 0; i < count && r.ok(); ++i) {
    PackedPart part;
    part.node = r.get<int32_t>();
    part.digest = r.get<uint32_t>();
    sizes.push_back(r.get<uint64_t>());
    part.facts = r.take(r.count(1));
    packed.parts.push_back(part);
  }
  for (size_t i = 0; i < packed.parts.size() && r.ok(); ++i) {
    r.align(kAlignment);
    packed.parts[i].block = r.take(sizes[i]);
    r.align(kAlignment);
    r.take(kPackedSlack);
  }
  r.align(kAlignment);
  if (r.ok() && r.left() > 0) r.fail("bytes behind the last block");
  if (!r.ok()) return at("packed section", r.status().error());
  return packed;
}

}  // namespace

bool is_ew(std::span<const uint8_t> bytes) {
  return bytes.size() >= kMagic.size() && std::ranges::equal(bytes.first(kMagic.size()), kMagic);
}

Result<Model> read_ew(const std::shared_ptr<const MappedFile>& file, FindOp find_op,
                      const Verifier& verifier) {
  const std::span<const uint8_t> bytes = file->bytes();
  EW_TRY(const Header header, read_header(bytes));
  EW_TRY_VOID(check_sections(*file, header));
  EW_TRY_VOID(check_signature(bytes, header, verifier));
  const auto section = [&](size_t i) {
    return bytes.subspan(header.sections[i].offset, header.sections[i].bytes);
  };
  const std::span<const uint8_t> data = section(1);
  const auto find = [&](TensorType type, uint64_t offset) -> Result<Tensor> {
    const auto size = static_cast<uint64_t>(type.shape.num_elements()) * dtype_size(type.dtype);
    if (offset % kAlignment != 0 || offset > data.size() || size > data.size() - offset) {
      return invalid_data("elements at byte ", offset, " of the data section lie outside of it");
    }
    return Tensor::borrowed(std::move(type), data.data() + offset, file);
  };
  ByteReader r(section(0));
  EW_TRY(Model model, get_model(r, find, find_op));
  if (header.sections.size() > 2) {
    EW_TRY(PackedSection packed, read_packed(section(2)));
    packed.owner = file;
    model.packed = std::make_shared<const PackedSection>(std::move(packed));
  }
  return model;
}

}  // namespace ew::ir
