#include "formats/h5_wire.h"

#include <bit>
#include <utility>

namespace ew::formats {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kMagic = "EWH5";
constexpr size_t kBuffer = 65536;

class Decoder {
 public:
  Decoder(const WireSource& source, const H5WireLimits& limits)
      : source_(source), bytes_left_(limits.max_bytes), objects_left_(limits.max_objects) {}

  Result<H5Group> decode() {
    char magic[4];
    EW_TRY_VOID(fill(magic, sizeof(magic)));
    if (std::string_view(magic, sizeof(magic)) != kMagic) return fail("a signature");
    H5Group root;
    EW_TRY(const char first, tag());
    if (first != 'G') return fail("the root group");
    EW_TRY(root.name, name());
    EW_TRY_VOID(members(root, 0));
    EW_TRY(const char last, tag());
    if (last != 'Z') return fail("the end");
    return root;
  }

 private:
  static Error fail(const char* expected) {
    return invalid_data("broken stream: expected ", expected);
  }

  Status fill(void* target, size_t size) {
    if (size == 0) return {};
    return source_(std::span(static_cast<uint8_t*>(target), size));
  }
  template <typename T>
  Result<T> number() {
    T value;
    EW_TRY_VOID(fill(&value, sizeof(T)));
    return value;
  }
  Status spend(uint64_t bytes) {
    if (bytes > static_cast<uint64_t>(bytes_left_)) {
      return make_error(ErrorCode::kResourceLimit, "the content is above its limit of bytes");
    }
    bytes_left_ -= static_cast<int64_t>(bytes);
    return {};
  }
  Status count_object() {
    if (--objects_left_ < 0) {
      return make_error(ErrorCode::kResourceLimit, "more objects than the limit allows");
    }
    return {};
  }

  /// The next record's tag; an error record is returned as that error.
  Result<char> tag() {
    EW_TRY(const char value, number<char>());
    if (value != 'E') return value;
    EW_TRY(const uint8_t code, number<uint8_t>());
    if (code > static_cast<uint8_t>(ErrorCode::kInternal)) return fail("an error code");
    EW_TRY(std::string message, text(kMaxMessage));
    return Error{static_cast<ErrorCode>(code), std::move(message)};
  }
  Result<std::string> text(size_t limit) {
    EW_TRY(const uint32_t size, number<uint32_t>());
    if (size > limit) return fail("a shorter text");
    EW_TRY_VOID(spend(size));
    std::string out(size, '\0');
    EW_TRY_VOID(fill(out.data(), size));
    return out;
  }
  Result<std::string> name() {
    EW_TRY_VOID(count_object());
    return text(kMaxH5Name);
  }

  Result<H5Value> value() {
    H5Value out;
    EW_TRY(const uint8_t kind, number<uint8_t>());
    EW_TRY(const uint8_t dtype, number<uint8_t>());
    EW_TRY(const uint8_t rank, number<uint8_t>());
    if (kind > 1 || dtype > static_cast<uint8_t>(DType::kBool) || rank > 8) {
      return fail("a known type and a rank up to 8");
    }
    out.is_string = kind == 1;
    out.dtype = static_cast<DType>(dtype);
    std::vector<int64_t> dims(rank);
    for (int64_t& d : dims) {
      EW_TRY(d, number<int64_t>());
    }
    out.shape = Shape(std::move(dims));
    EW_TRY_VOID(check_shape(out.shape));
    const auto elements = static_cast<uint64_t>(out.shape.num_elements());
    if (out.is_string) {
      for (uint64_t i = 0; i < elements; ++i) {
        EW_TRY_VOID(count_object());
        EW_TRY(std::string item, text(UINT32_MAX));
        out.strings.push_back(std::move(item));
      }
      return out;
    }
    EW_TRY(const uint64_t size, number<uint64_t>());
    if (size != elements * dtype_size(out.dtype)) return fail("as many bytes as the shape needs");
    EW_TRY_VOID(spend(size));
    out.bytes.resize(size);
    EW_TRY_VOID(fill(out.bytes.data(), size));
    if (out.dtype == DType::kBool) {
      for (uint8_t& b : out.bytes) b = b != 0 ? 1 : 0;
    }
    return out;
  }

  Result<H5Attribute> attribute() {
    H5Attribute out;
    EW_TRY(out.name, name());
    EW_TRY(out.value, value());
    return out;
  }

  Status members(H5Group& group, int depth) {
    if (depth > kMaxH5Depth) return fail("fewer groups inside each other");
    while (true) {
      EW_TRY(const char kind, tag());
      if (kind == '.') return {};
      if (kind == 'A') {
        EW_TRY(H5Attribute item, attribute());
        group.attributes.push_back(std::move(item));
      } else if (kind == 'G') {
        H5Group child;
        EW_TRY(child.name, name());
        EW_TRY_VOID(members(child, depth + 1));
        group.groups.push_back(std::move(child));
      } else if (kind == 'D') {
        EW_TRY(H5Dataset item, dataset());
        group.datasets.push_back(std::move(item));
      } else {
        return fail("a group, a dataset or an attribute");
      }
    }
  }

  Result<H5Dataset> dataset() {
    H5Dataset out;
    EW_TRY(out.name, name());
    EW_TRY(out.value, value());
    while (true) {
      EW_TRY(const char kind, tag());
      if (kind == '.') return out;
      if (kind != 'A') return fail("an attribute");
      EW_TRY(H5Attribute item, attribute());
      out.attributes.push_back(std::move(item));
    }
  }

  static constexpr size_t kMaxMessage = 4096;
  const WireSource& source_;
  int64_t bytes_left_;
  int64_t objects_left_;
};

Status send_group(H5WireWriter& out, const H5Group& group) {
  EW_TRY_VOID(out.begin_group(group.name));
  for (const H5Attribute& a : group.attributes) EW_TRY_VOID(out.attribute(a.name, a.value));
  for (const H5Group& g : group.groups) EW_TRY_VOID(send_group(out, g));
  for (const H5Dataset& d : group.datasets) {
    EW_TRY_VOID(out.begin_dataset(d.name, d.value));
    for (const H5Attribute& a : d.attributes) EW_TRY_VOID(out.attribute(a.name, a.value));
    EW_TRY_VOID(out.close());
  }
  return out.close();
}

}  // namespace

H5WireWriter::H5WireWriter(WireSink sink) : sink_(std::move(sink)) {
  buffer_.assign(kMagic.begin(), kMagic.end());
}

Status H5WireWriter::flush() {
  const std::vector<uint8_t> full = std::exchange(buffer_, {});
  return full.empty() ? Status() : sink_(full);
}

Status H5WireWriter::raw(std::span<const uint8_t> bytes) {
  if (buffer_.size() + bytes.size() > kBuffer) EW_TRY_VOID(flush());
  if (bytes.size() > kBuffer) return sink_(bytes);
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return {};
}

template <typename T>
Status H5WireWriter::number(T value) {
  return raw({reinterpret_cast<const uint8_t*>(&value), sizeof(T)});
}

Status H5WireWriter::text(std::string_view text) {
  if (text.size() > UINT32_MAX) {
    return make_error(ErrorCode::kResourceLimit, "a string of ", text.size(), " bytes");
  }
  EW_TRY_VOID(number(static_cast<uint32_t>(text.size())));
  return raw({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

Status H5WireWriter::value(const H5Value& value) {
  EW_TRY_VOID(number(static_cast<uint8_t>(value.is_string ? 1 : 0)));
  EW_TRY_VOID(number(static_cast<uint8_t>(value.dtype)));
  EW_TRY_VOID(number(static_cast<uint8_t>(value.shape.rank())));
  for (const int64_t d : value.shape) EW_TRY_VOID(number(d));
  if (value.is_string) {
    for (const std::string& s : value.strings) EW_TRY_VOID(text(s));
    return {};
  }
  EW_TRY_VOID(number(static_cast<uint64_t>(value.bytes.size())));
  return raw(value.bytes);
}

Status H5WireWriter::begin_group(std::string_view name) {
  EW_TRY_VOID(number('G'));
  return text(name);
}

Status H5WireWriter::begin_dataset(std::string_view name, const H5Value& value) {
  EW_TRY_VOID(number('D'));
  EW_TRY_VOID(text(name));
  return this->value(value);
}

Status H5WireWriter::attribute(std::string_view name, const H5Value& value) {
  EW_TRY_VOID(number('A'));
  EW_TRY_VOID(text(name));
  return this->value(value);
}

Status H5WireWriter::close() { return number('.'); }

Status H5WireWriter::error(const Error& error) {
  EW_TRY_VOID(number('E'));
  EW_TRY_VOID(number(static_cast<uint8_t>(error.code)));
  EW_TRY_VOID(text(std::string_view(error.message).substr(0, 2000)));
  return flush();
}

Status H5WireWriter::end() {
  EW_TRY_VOID(number('Z'));
  return flush();
}

Result<H5Group> read_h5_wire(const WireSource& source, const H5WireLimits& limits) {
  return Decoder(source, limits).decode();
}

Status write_h5_wire(const H5Group& root, const WireSink& sink) {
  H5WireWriter out(sink);
  EW_TRY_VOID(send_group(out, root));
  return out.end();
}

}  // namespace ew::formats
