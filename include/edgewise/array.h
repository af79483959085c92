#pragma once
// N-dimensional arrays at the border of the library.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "edgewise/dtype.h"
#include "edgewise/result.h"

namespace ew {

/// Elements in row-major order, in this machine's byte order. Either owns its bytes, or refers to
/// memory that `owner` keeps alive (a NumPy array), which must not change meanwhile.
class Array {
 public:
  Array() = default;
  /// Zero-filled. The shape must not be negative anywhere.
  Array(DType dtype, std::vector<int64_t> shape);
  /// Refers to `data`; `owner` (may be null) lives as long as this array and its copies.
  Array(DType dtype, std::vector<int64_t> shape, const void* data,
        std::shared_ptr<const void> owner);
  static Array from(std::span<const float> values, std::vector<int64_t> shape);

  DType dtype() const { return dtype_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  int64_t size() const;
  size_t size_bytes() const;
  const void* data() const { return data_; }
  /// Only for arrays that own their bytes; null for others.
  void* mutable_data() { return owned_; }
  std::span<const float> floats() const {
    return {static_cast<const float*>(data_), static_cast<size_t>(size())};
  }

 private:
  DType dtype_ = DType::kF32;
  std::vector<int64_t> shape_ = {0};
  const void* data_ = nullptr;
  void* owned_ = nullptr;
  std::shared_ptr<const void> owner_;
};

/// Reads and writes NumPy's .npy files. Errors: kNotFound, kIo, kInvalidData.
Result<Array> load_npy(const std::string& path);
Result<void> save_npy(const Array& array, const std::string& path);

}  // namespace ew
