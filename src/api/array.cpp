#include "edgewise/array.h"

#include <cstring>

#include "api/convert.h"
#include "base/file.h"
#include "base/npy.h"

namespace ew {
namespace {

int64_t count(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (const int64_t d : shape) n *= d;
  return n;
}

}  // namespace

Array::Array(DType dtype, std::vector<int64_t> shape) : dtype_(dtype), shape_(std::move(shape)) {
  auto bytes = std::make_shared<std::vector<uint8_t>>(static_cast<size_t>(count(shape_)) *
                                                      dtype_size(dtype));
  owned_ = bytes->data();
  data_ = owned_;
  owner_ = std::move(bytes);
}

Array::Array(DType dtype, std::vector<int64_t> shape, const void* data,
             std::shared_ptr<const void> owner)
    : dtype_(dtype), shape_(std::move(shape)), data_(data), owner_(std::move(owner)) {}

Array Array::from(std::span<const float> values, std::vector<int64_t> shape) {
  Array array(DType::kF32, std::move(shape));
  EW_DCHECK(array.size() == static_cast<int64_t>(values.size()));
  if (!values.empty()) std::memcpy(array.mutable_data(), values.data(), values.size_bytes());
  return array;
}

int64_t Array::size() const { return count(shape_); }
size_t Array::size_bytes() const { return static_cast<size_t>(size()) * dtype_size(dtype_); }

Result<Array> load_npy(const std::string& path) {
  EW_TRY(const std::vector<uint8_t> bytes, read_file(path));
  Result<NpyArray> npy = parse_npy(bytes);
  if (!npy.ok()) return at(path, npy.error());
  auto owner = std::make_shared<NpyArray>(std::move(*npy));
  const void* data = owner->bytes.data();
  return Array(owner->dtype, owner->shape.dims(), data, owner);
}

Result<void> save_npy(const Array& array, const std::string& path) {
  // NumPy has no bfloat16: such arrays are written as float32, which holds every value.
  const Array out = array.dtype() == DType::kBF16
                        ? api::to_array(api::to_tensor(array).cast(DType::kF32))
                        : array;
  EW_TRY(const std::vector<uint8_t> bytes,
         write_npy(out.dtype(), Shape(out.shape()),
                   std::span(static_cast<const uint8_t*>(out.data()), out.size_bytes())));
  return write_file_atomic(path, bytes);
}

}  // namespace ew
