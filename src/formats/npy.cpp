#include "formats/npy.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

#include "base/file.h"
#include "formats/zip.h"

namespace ew::formats {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeader = 65536;
constexpr std::string_view kSuffix = ".npy";

struct Header {
  DType dtype = DType::kF32;
  bool big_endian = false;
  bool fortran_order = false;
  Shape shape;
};

Result<DType> parse_descr(std::string_view descr, bool& big_endian) {
  if (!descr.empty() && std::string_view("<>|=").find(descr[0]) != std::string_view::npos) {
    big_endian = descr[0] == '>';
    descr.remove_prefix(1);
  }
  constexpr std::pair<std::string_view, DType> kTypes[] = {
      {"f4", DType::kF32}, {"f8", DType::kF64}, {"f2", DType::kF16}, {"i1", DType::kI8},
      {"u1", DType::kU8},  {"i2", DType::kI16}, {"u2", DType::kU16}, {"i4", DType::kI32},
      {"u4", DType::kU32}, {"i8", DType::kI64}, {"u8", DType::kU64}, {"b1", DType::kBool}};
  for (const auto& [name, dtype] : kTypes) {
    if (name == descr) return dtype;
  }
  if (descr.starts_with("O")) {
    return unsupported("npy: pickled Python objects are never loaded; save plain numbers");
  }
  return unsupported("npy: element type '", descr.substr(0, 40),
                     "' is not supported; expected bool, integers or float16, 32, 64");
}

// Reads the header's Python literal: a dict of a string, a bool and a tuple of integers.
class HeaderScanner {
 public:
  explicit HeaderScanner(std::string_view text) : text_(text) {}

  Result<Header> scan() {
    Header out;
    std::optional<Shape> shape;
    bool has_descr = false;
    bool has_order = false;
    EW_TRY_VOID(expect('{'));
    while (!accept('}')) {
      EW_TRY(const std::string_view key, quoted());
      EW_TRY_VOID(expect(':'));
      if (key == "descr" && !has_descr) {
        has_descr = true;
        if (peek() == '[') return unsupported("npy: structured element types are not supported");
        EW_TRY(const std::string_view descr, quoted());
        EW_TRY(out.dtype, parse_descr(descr, out.big_endian));
      } else if (key == "fortran_order" && !has_order) {
        has_order = true;
        EW_TRY(out.fortran_order, boolean());
      } else if (key == "shape" && !shape) {
        EW_TRY(shape, tuple());
      } else {
        return fail("a key that is new and one of descr, fortran_order, shape");
      }
      if (!accept(',') && peek() != '}') return fail("',' or '}'");
    }
    peek();
    if (position_ != text_.size()) return fail("the end of the header");
    if (!has_descr || !has_order || !shape) {
      return invalid_data("npy header: expected descr, fortran_order and shape");
    }
    out.shape = std::move(*shape);
    EW_TRY_VOID(check_shape(out.shape));
    return out;
  }

 private:
  Error fail(const char* expected) const {
    return invalid_data("npy header, offset ", position_, ": expected ", expected);
  }
  /// The next character that is no blank; 0 at the end.
  char peek() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\n')) {
      ++position_;
    }
    return position_ < text_.size() ? text_[position_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++position_;
    return true;
  }
  Status expect(char c) {
    if (accept(c)) return {};
    return fail(c == '{' ? "'{'" : c == ':' ? "':'" : "'('");
  }
  Result<std::string_view> quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') return fail("a string");
    const size_t begin = position_ + 1;
    const size_t end = text_.find(quote, begin);
    if (end == std::string_view::npos) return fail("a string that ends");
    position_ = end + 1;
    return text_.substr(begin, end - begin);
  }
  Result<bool> boolean() {
    peek();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(position_).starts_with(word)) {
        position_ += word.size();
        return value;
      }
    }
    return fail("True or False");
  }
  Result<Shape> tuple() {
    EW_TRY_VOID(expect('('));
    std::vector<int64_t> dims;
    while (!accept(')')) {
      int64_t value = 0;
      const char first = peek();
      if (first < '0' || first > '9') return fail("a size");
      while (position_ < text_.size() && text_[position_] >= '0' && text_[position_] <= '9') {
        if (value > kMaxElements) return fail("a smaller size");
        value = value * 10 + (text_[position_++] - '0');
      }
      accept('L');  // as Python 2 wrote long integers
      dims.push_back(value);
      if (dims.size() > 32) return fail("at most 32 sizes");
      if (!accept(',') && peek() != ')') return fail("',' or ')'");
    }
    return Shape(std::move(dims));
  }

  std::string_view text_;
  size_t position_ = 0;
};

void swap_bytes(std::vector<uint8_t>& bytes, size_t item) {
  for (size_t i = 0; i + item <= bytes.size(); i += item) {
    std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(i),
                 bytes.begin() + static_cast<std::ptrdiff_t>(i + item));
  }
}

std::vector<uint8_t> to_c_order(const std::vector<uint8_t>& source, const Shape& shape,
                                size_t item) {
  std::vector<uint8_t> out(source.size());
  std::vector<size_t> index(static_cast<size_t>(shape.rank()), 0);
  std::vector<size_t> stride(index.size(), item);  // of the Fortran order, in bytes
  for (size_t i = 1; i < stride.size(); ++i) {
    stride[i] = stride[i - 1] * static_cast<size_t>(shape[static_cast<int>(i) - 1]);
  }
  size_t from = 0;
  for (size_t to = 0; to < out.size(); to += item) {
    std::memcpy(out.data() + to, source.data() + from, item);
    for (size_t axis = index.size(); axis-- > 0;) {
      from += stride[axis];
      if (++index[axis] < static_cast<size_t>(shape[static_cast<int>(axis)])) break;
      from -= stride[axis] * index[axis];
      index[axis] = 0;
    }
  }
  return out;
}

/// The header's text; `bytes` loses everything before the data.
Result<std::string_view> take_header(std::span<const uint8_t>& bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(kMagic) || text.size() < 10) {
    return invalid_data("expected a .npy file, found no NumPy signature");
  }
  const uint8_t version = bytes[6];
  if (version < 1 || version > 3) {
    return unsupported("npy: format version ", int{version}, "; 1 to 3 are supported");
  }
  const size_t width = version == 1 ? 2 : 4;
  if (bytes.size() < 8 + width) return invalid_data("npy: the file ends within its header");
  size_t size = 0;
  for (size_t i = 0; i < width; ++i) size |= size_t{bytes[8 + i]} << (8 * i);
  if (size > kMaxHeader) {
    return make_error(ErrorCode::kResourceLimit, "npy: a header of ", size,
                      " bytes, above the limit of ", kMaxHeader);
  }
  if (bytes.size() - 8 - width < size) return invalid_data("npy: the file ends within its header");
  bytes = bytes.subspan(8 + width + size);
  return text.substr(8 + width, size);
}

template <typename T>
Result<T> named(const std::string& path, Result<T> result) {
  if (!result.ok()) return at(path, result.error());
  return result;
}

}  // namespace

Result<NpyArray> read_npy(std::span<const uint8_t> bytes) {
  EW_TRY(const std::string_view text, take_header(bytes));
  EW_TRY(const Header header, HeaderScanner(text).scan());
  const size_t item = dtype_size(header.dtype);
  const size_t expected = static_cast<size_t>(header.shape.num_elements()) * item;
  if (bytes.size() < expected) {
    return invalid_data("npy: shape ", header.shape, " of ", header.dtype, " needs ", expected,
                        " bytes, found ", bytes.size());
  }
  NpyArray out{header.dtype, header.shape, {}};
  out.bytes.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(expected));
  if (header.big_endian) swap_bytes(out.bytes, item);
  if (header.fortran_order && out.shape.rank() > 1) {
    out.bytes = to_c_order(out.bytes, out.shape, item);
  }
  if (out.dtype == DType::kBool) {
    for (uint8_t& b : out.bytes) b = b != 0 ? 1 : 0;
  }
  return out;
}

Result<NpyArray> read_npy(const std::string& path) {
  EW_TRY(const std::vector<uint8_t> bytes, read_file(path));
  return named(path, read_npy(std::span(bytes)));
}

Result<NamedArrays> read_npz(std::span<const uint8_t> bytes) {
  EW_TRY(const ZipView zip, ZipView::open(bytes));
  NamedArrays out;
  for (const ZipMember& member : zip.members()) {
    if (!member.name.ends_with(kSuffix)) {
      return invalid_data("npz: expected members that end in .npy, found '", member.name, "'");
    }
    EW_TRY(const std::vector<uint8_t> content, zip.read(member));
    EW_TRY(NpyArray array, named(member.name, read_npy(std::span(content))));
    out.emplace_back(member.name.substr(0, member.name.size() - kSuffix.size()), std::move(array));
  }
  return out;
}

Result<NamedArrays> read_npz(const std::string& path) {
  EW_TRY(const std::vector<uint8_t> bytes, read_file(path));
  return named(path, read_npz(std::span(bytes)));
}

Result<std::vector<uint8_t>> write_npy_bytes(DType dtype, const Shape& shape,
                                             std::span<const uint8_t> bytes) {
  if (!shape.is_static() ||
      static_cast<size_t>(shape.num_elements()) * dtype_size(dtype) != bytes.size()) {
    return invalid_argument("npy: ", bytes.size(), " bytes do not fit shape ", shape, " of ",
                            dtype);
  }
  if (dtype == DType::kBF16) {
    std::vector<uint8_t> floats(bytes.size() * 2);
    convert_elements(dtype, bytes.data(), DType::kF32, floats.data(), shape.num_elements());
    return write_npy_bytes(DType::kF32, shape, floats);
  }
  const char kind = dtype == DType::kBool         ? 'b'
                    : is_floating(dtype)          ? 'f'
                    : dtype_name(dtype)[0] == 'u' ? 'u'
                                                  : 'i';
  std::string dims;
  for (const int64_t d : shape) dims += str(dims.empty() ? "" : " ", d, ",");
  if (shape.rank() > 1) dims.pop_back();
  std::string header =
      str("{'descr': '", dtype_size(dtype) == 1 ? '|' : '<', kind, dtype_size(dtype),
          "', 'fortran_order': False, 'shape': (", dims, "), }");
  // NumPy pads so that the data begins at a multiple of 64 bytes.
  const size_t prefix = kMagic.size() + 4;
  header.append(63 - (prefix + header.size()) % 64, ' ');
  header += '\n';
  std::vector<uint8_t> out;
  out.reserve(prefix + header.size() + bytes.size());
  out.insert(out.end(), kMagic.begin(), kMagic.end());
  out.insert(out.end(), {1, 0, static_cast<uint8_t>(header.size() & 0xFF),
                         static_cast<uint8_t>(header.size() >> 8)});
  out.insert(out.end(), header.begin(), header.end());
  out.insert(out.end(), bytes.begin(), bytes.end());
  return out;
}

Status write_npy(const std::string& path, DType dtype, const Shape& shape,
                 std::span<const uint8_t> bytes) {
  EW_TRY(const std::vector<uint8_t> file, write_npy_bytes(dtype, shape, bytes));
  return write_file_atomic(path, file);
}

Status write_npz(const std::string& path, const NamedArrays& arrays) {
  std::vector<std::vector<uint8_t>> files;
  for (const auto& [name, array] : arrays) {
    EW_TRY(std::vector<uint8_t> file, write_npy_bytes(array.dtype, array.shape, array.bytes));
    files.push_back(std::move(file));
  }
  std::vector<ZipInput> members;
  for (size_t i = 0; i < files.size(); ++i) {
    members.push_back({arrays[i].first + std::string(kSuffix), files[i]});
  }
  EW_TRY(const std::vector<uint8_t> zip, write_zip(members));
  return write_file_atomic(path, zip);
}

}  // namespace ew::formats
