#pragma once
// NumPy's .npy (format versions 1.0 to 3.0, numpy.lib.format) and .npz (a ZIP of .npy).

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "base/shape.h"

namespace ew::formats {

/// An array in C order, little-endian; bools are 0 or 1.
struct NpyArray {
  DType dtype = DType::kF32;
  Shape shape;
  std::vector<uint8_t> bytes;
  bool operator==(const NpyArray&) const = default;
};

/// The array in the bytes of a .npy file: bool, integers, float16/32/64 of either byte order;
/// Fortran order is turned into C order. Errors: kInvalidData; kUnsupported for pickled objects
/// (never unpickled), structures, strings and complex numbers; kResourceLimit.
Result<NpyArray> read_npy(std::span<const uint8_t> bytes);
Result<NpyArray> read_npy(const std::string& path);

using NamedArrays = std::vector<std::pair<std::string, NpyArray>>;

/// All arrays of a .npz with their names (without ".npy"), in the archive's order.
Result<NamedArrays> read_npz(std::span<const uint8_t> bytes);
Result<NamedArrays> read_npz(const std::string& path);

/// Format version 1.0, as numpy.save() writes it. NumPy has no bfloat16, so
/// such arrays are written as float32. Error kInvalidArgument if the bytes do not fit the shape.
Result<std::vector<uint8_t>> write_npy_bytes(DType dtype, const Shape& shape,
                                             std::span<const uint8_t> bytes);
Status write_npy(const std::string& path, DType dtype, const Shape& shape,
                 std::span<const uint8_t> bytes);
Status write_npz(const std::string& path, const NamedArrays& arrays);

}  // namespace ew::formats
