#include "base/npy.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <string>
#include <string_view>

namespace ew {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr int kMaxRank = 32;  // NumPy's own limit before 2.0

// Reads the one dictionary that numpy.lib.format writes, and nothing else of Python:
// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderText {
 public:
  HeaderText(std::string_view text, NpyHeader& header) : text_(text), header_(header) {}

  Status parse() {
    if (!take('{')) return expected("'{'");
    bool seen[3] = {};
    while (!take('}')) {
      EW_TRY(const std::string_view key, quoted());
      if (!take(':')) return expected("':'");
      const int index = key == "descr" ? 0 : key == "fortran_order" ? 1 : key == "shape" ? 2 : -1;
      if (index < 0) return invalid_data("npy header: unknown key '", key, "'");
      if (seen[index]) return invalid_data("npy header: key '", key, "' stands twice");
      seen[index] = true;
      EW_TRY_VOID(index == 0 ? descr() : index == 1 ? order() : shape());
      if (!take(',') && peek() != '}') return expected("',' or '}'");
    }
    const char* const names[3] = {"descr", "fortran_order", "shape"};
    for (int i = 0; i < 3; ++i) {
      if (!seen[i]) return invalid_data("npy header: key '", names[i], "' is missing");
    }
    skip_space();
    if (at_ != text_.size()) return expected("the end of the header");
    return {};
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    skip_space();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  Error expected(std::string_view what) const {
    return invalid_data("npy header: expected ", what, " at character ", at_);
  }

  Result<std::string_view> quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') return expected("a quoted string");
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) return expected("a closing quote");
    const std::string_view value = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return value;
  }

  Status descr() {
    if (peek() == '[') {
      return unsupported("npy: structured arrays are not supported; save one array per field");
    }
    EW_TRY(const std::string_view text, quoted());
    struct Entry {
      std::string_view code;
      DType dtype;
    };
    static constexpr Entry kEntries[] = {
        {"b1", DType::kBool}, {"i1", DType::kI8},  {"u1", DType::kU8},  {"i2", DType::kI16},
        {"u2", DType::kU16},  {"i4", DType::kI32}, {"u4", DType::kU32}, {"i8", DType::kI64},
        {"u8", DType::kU64},  {"f2", DType::kF16}, {"f4", DType::kF32}, {"f8", DType::kF64}};
    const char order = text.empty() ? '\0' : text[0];
    const bool has_order = order == '<' || order == '>' || order == '|' || order == '=';
    const std::string_view code = has_order ? text.substr(1) : text;
    for (const Entry& entry : kEntries) {
      if (entry.code != code) continue;
      constexpr bool kLittle = std::endian::native == std::endian::little;
      header_.dtype = entry.dtype;
      header_.swap_bytes = dtype_size(entry.dtype) > 1 && order == (kLittle ? '>' : '<');
      return {};
    }
    if (!code.empty() && code[0] == 'O') {
      return unsupported(
          "npy: object arrays hold Python pickles, which are never read; "
          "save with a numeric dtype");
    }
    return unsupported("npy: dtype '", text.substr(0, 40),
                       "' is not supported (expected bool, int, uint or float)");
  }

  Status order() {
    if (take_word("True")) {
      header_.fortran_order = true;
    } else if (!take_word("False")) {
      return expected("True or False");
    }
    return {};
  }

  Status shape() {
    if (!take('(')) return expected("'('");
    while (!take(')')) {
      int64_t value = 0;
      skip_space();
      const char* begin = text_.data() + at_;
      const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
      if (error != std::errc{}) return expected("a dimension");
      at_ += static_cast<size_t>(end - begin);
      if (value < 0) return invalid_data("npy header: negative dimension ", value);
      if (header_.shape.rank() == kMaxRank) {
        return make_error(ErrorCode::kResourceLimit, "npy: rank is above the limit of ", kMaxRank);
      }
      header_.shape.dims().push_back(value);
      take('L');  // Python 2 wrote long integers so
      if (!take(',') && peek() != ')') return expected("',' or ')'");
    }
    return {};
  }

  std::string_view text_;
  NpyHeader& header_;
  size_t at_ = 0;
};

void swap_elements(uint8_t* elements, size_t width, int64_t count) {
  for (int64_t i = 0; i < count; ++i, elements += width) std::reverse(elements, elements + width);
}

}  // namespace

Result<NpyHeader> parse_npy_header(std::span<const uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.substr(0, kMagic.size()) != kMagic) {
    return invalid_data("not an .npy file: it does not begin with \\x93NUMPY");
  }
  if (text.size() < 10) return invalid_data("npy: cut short after ", text.size(), " bytes");
  const int version = bytes[6];
  if (version < 1 || version > 3) {
    return unsupported("npy: format version ", version, ".", int{bytes[7]},
                       " (expected 1, 2 or 3)");
  }
  const size_t width = version == 1 ? 2 : 4;
  if (text.size() < 8 + width) return invalid_data("npy: cut short inside the header length");
  size_t length = 0;
  for (size_t i = width; i > 0; --i) length = length << 8 | bytes[8 + i - 1];
  const size_t begin = 8 + width;
  if (begin + length > kNpyMaxHeader) {
    return make_error(ErrorCode::kResourceLimit, "npy: header of ", length,
                      " bytes is above the limit of 65536");
  }
  if (length > text.size() - begin) {
    return invalid_data("npy: header says ", length, " bytes, the file has ", text.size() - begin);
  }
  NpyHeader header;
  EW_TRY_VOID(HeaderText(text.substr(begin, length), header).parse());
  header.data_offset = begin + length;
  const bool empty =
      std::any_of(header.shape.begin(), header.shape.end(), [](int64_t d) { return d == 0; });
  header.data_bytes = empty ? 0 : static_cast<int64_t>(dtype_size(header.dtype));
  for (const int64_t d : header.shape) {
    if (!empty && header.data_bytes > INT64_MAX / d) {
      return make_error(ErrorCode::kResourceLimit, "npy: shape ", header.shape, " overflows");
    }
    header.data_bytes *= d;
  }
  return header;
}

void npy_to_native(const NpyHeader& header, uint8_t* elements, int64_t count) {
  if (header.swap_bytes) swap_elements(elements, dtype_size(header.dtype), count);
  if (header.dtype == DType::kBool) {
    for (int64_t i = 0; i < count; ++i) elements[i] = elements[i] != 0 ? 1 : 0;
  }
}

void npy_fortran_to_c(const NpyHeader& header, const uint8_t* stored, uint8_t* target) {
  const size_t width = dtype_size(header.dtype);
  const int rank = header.shape.rank();
  const int64_t count = header.data_bytes / static_cast<int64_t>(width);
  if (count == 0) return;
  std::vector<int64_t> index(static_cast<size_t>(rank), 0);
  std::vector<int64_t> strides(static_cast<size_t>(rank), 1);  // of the stored order
  for (size_t i = 1; i < strides.size(); ++i) {
    strides[i] = strides[i - 1] * header.shape[static_cast<int>(i) - 1];
  }
  int64_t source = 0;
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(target + static_cast<size_t>(i) * width,
                stored + static_cast<size_t>(source) * width, width);
    for (size_t axis = index.size(); axis > 0; --axis) {
      const size_t a = axis - 1;
      source += strides[a];
      if (++index[a] < header.shape[static_cast<int>(a)]) break;
      source -= strides[a] * index[a];
      index[a] = 0;
    }
  }
}

Result<NpyArray> parse_npy(std::span<const uint8_t> bytes) {
  EW_TRY(const NpyHeader header, parse_npy_header(bytes));
  EW_TRY_VOID(check_shape(header.shape));
  const size_t available = bytes.size() - header.data_offset;
  if (static_cast<size_t>(header.data_bytes) > available) {
    return invalid_data("npy: shape ", header.shape, " of ", dtype_name(header.dtype), " needs ",
                        header.data_bytes, " bytes, the file has ", available);
  }
  const auto stored = bytes.subspan(header.data_offset, static_cast<size_t>(header.data_bytes));
  NpyArray array{header.dtype, header.shape, {}};
  if (header.fortran_order && header.shape.rank() > 1) {
    array.bytes.resize(stored.size());
    npy_fortran_to_c(header, stored.data(), array.bytes.data());
  } else {
    array.bytes.assign(stored.begin(), stored.end());
  }
  npy_to_native(header, array.bytes.data(), array.shape.num_elements());
  return array;
}

Result<std::vector<uint8_t>> write_npy(DType dtype, const Shape& shape,
                                       std::span<const uint8_t> elements) {
  if (dtype == DType::kBF16) {
    return unsupported("npy: NumPy has no bfloat16; convert to float32 first");
  }
  const size_t width = dtype_size(dtype);
  if (!shape.is_static() || elements.size() != static_cast<size_t>(shape.num_elements()) * width) {
    return invalid_argument("npy: shape ", shape, " of ", dtype_name(dtype), " does not take ",
                            elements.size(), " bytes");
  }
  const char kind = dtype == DType::kBool                                  ? 'b'
                    : is_floating(dtype)                                   ? 'f'
                    : std::string_view(dtype_name(dtype)).starts_with("u") ? 'u'
                                                                           : 'i';
  std::string dims = "(";
  for (int i = 0; i < shape.rank(); ++i) dims += str(i > 0 ? ", " : "", shape[i]);
  dims += shape.rank() == 1 ? ",)" : ")";
  std::string text = str("{'descr': '", width == 1 ? "|" : "<", kind, width,
                         "', 'fortran_order': False, 'shape': ", dims, ", }");
  text.append(64 - (10 + text.size() + 1) % 64, ' ');  // elements begin at a multiple of 64
  text += '\n';
  std::vector<uint8_t> out(10 + text.size() + elements.size());
  std::memcpy(out.data(), "\x93NUMPY\x01\x00", 8);
  out[8] = static_cast<uint8_t>(text.size() & 0xff);
  out[9] = static_cast<uint8_t>(text.size() >> 8);
  std::memcpy(out.data() + 10, text.data(), text.size());
  if (!elements.empty())
    std::memcpy(out.data() + 10 + text.size(), elements.data(), elements.size());
  if constexpr (std::endian::native == std::endian::big) {
    swap_elements(out.data() + 10 + text.size(), width, shape.num_elements());
  }
  return out;
}

}  // namespace ew
