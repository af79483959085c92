#include "train/data/idx.h"

#include <algorithm>
#include <bit>

#include "train/data/byte_file.h"

namespace ew::train {
namespace {

struct TypeCode {
  uint8_t code;
  DType dtype;
};
constexpr TypeCode kTypes[] = {{0x08, DType::kU8},  {0x09, DType::kI8},  {0x0b, DType::kI16},
                               {0x0c, DType::kI32}, {0x0d, DType::kF32}, {0x0e, DType::kF64}};

}  // namespace

Result<ir::Tensor> parse_idx(std::span<const uint8_t> bytes) {
  if (bytes.size() < 4) return invalid_data("not an IDX file: it has ", bytes.size(), " bytes");
  const auto* type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                  [&](const TypeCode& t) { return t.code == bytes[2]; });
  if (bytes[0] != 0 || bytes[1] != 0 || type == std::end(kTypes)) {
    return invalid_data("not an IDX file: it begins with bytes ", int{bytes[0]}, " ", int{bytes[1]},
                        " ", int{bytes[2]});
  }
  const size_t rank = bytes[3];
  if (rank == 0) return invalid_data("IDX: rank 0, expected rows");
  const size_t begin = 4 + 4 * rank;
  if (bytes.size() < begin) return invalid_data("IDX: cut short inside the header");
  std::vector<int64_t> dims;
  for (size_t i = 4; i < begin; i += 4) {
    dims.push_back(int64_t{bytes[i]} << 24 | int64_t{bytes[i + 1]} << 16 |
                   int64_t{bytes[i + 2]} << 8 | int64_t{bytes[i + 3]});
  }
  Shape shape(std::move(dims));
  EW_TRY_VOID(check_shape(shape));
  const size_t width = dtype_size(type->dtype);
  const size_t expected = static_cast<size_t>(shape.num_elements()) * width;
  if (bytes.size() - begin != expected) {
    return invalid_data("IDX: shape ", shape, " of ", dtype_name(type->dtype), " needs ", expected,
                        " bytes, the file has ", bytes.size() - begin);
  }
  ir::Tensor tensor(type->dtype, std::move(shape));
  auto* out = static_cast<uint8_t*>(tensor.mutable_data());
  std::copy(bytes.begin() + static_cast<std::ptrdiff_t>(begin), bytes.end(), out);
  if (width > 1 && std::endian::native == std::endian::little) {
    for (size_t i = 0; i < expected; i += width) std::reverse(out + i, out + i + width);
  }
  return tensor;
}

Result<ir::Tensor> read_idx(const std::string& path, int64_t max_bytes) {
  EW_TRY(const std::vector<uint8_t> bytes, read_maybe_gzip(path, max_bytes));
  auto tensor = parse_idx(bytes);
  if (!tensor.ok()) return at(path, tensor.error());
  return tensor;
}

}  // namespace ew::train
