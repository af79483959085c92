#pragma once
// NumPy's .npy format, versions 1 to 3 (numpy.lib.format), as dtype, shape and bytes. The header is
// hostile text: it is read by a small strict parser of exactly the dictionary that NumPy writes.

#include <cstdint>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"

namespace ew {

/// What the header says. `dtype` is one of bool, i8..i64, u8..u64, f16, f32, f64.
struct NpyHeader {
  DType dtype = DType::kF32;
  Shape shape;                 ///< as NumPy prints it, also if `fortran_order`
  bool fortran_order = false;  ///< elements are stored column-major
  bool swap_bytes = false;     ///< elements are stored in the other byte order than this machine's
  size_t data_offset = 0;      ///< where the elements begin
  int64_t data_bytes = 0;      ///< how many bytes they take; never overflows
};

/// Elements in C order and native byte order; bool is 0 or 1.
struct NpyArray {
  DType dtype = DType::kF32;
  Shape shape;
  std::vector<uint8_t> bytes;
};

/// Bytes of a file's beginning that always hold the whole header that we accept.
inline constexpr size_t kNpyMaxHeader = 65536 + 12;

/// Reads the header from a file's first bytes (all, or at least kNpyMaxHeader of them).
/// Errors: kInvalidData (no magic, header cut short or not NumPy's dictionary, negative dimension);
/// kUnsupported (version, strings, objects, structs, complex); kResourceLimit (size overflows,
/// rank above 32, header above 64 KiB).
Result<NpyHeader> parse_npy_header(std::span<const uint8_t> bytes);

/// Turns `count` stored elements into native ones, in place: byte order, and bool to 0 or 1.
void npy_to_native(const NpyHeader& header, uint8_t* elements, int64_t count);

/// Copies stored elements (native already) from column-major to row-major order.
void npy_fortran_to_c(const NpyHeader& header, const uint8_t* stored, uint8_t* target);

/// A whole file. Bytes beyond the elements are ignored, as NumPy does.
/// Errors: as parse_npy_header; kInvalidData if the elements are cut short; kResourceLimit above
/// kMaxElements elements.
Result<NpyArray> parse_npy(std::span<const uint8_t> bytes);

/// The bytes of an .npy file, version 1.0, little-endian, C order.
/// `elements` must be shape.num_elements() * dtype_size(dtype) bytes. Error kUnsupported for bf16,
/// which NumPy does not have.
Result<std::vector<uint8_t>> write_npy(DType dtype, const Shape& shape,
                                       std::span<const uint8_t> elements);

}  // namespace ew
