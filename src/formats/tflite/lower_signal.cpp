// Fourier transforms. A complex tensor of the file is [..., 2] here: real and imaginary parts.
#include "formats/tflite/op_context.h"

namespace ew::formats::tflite {
namespace {

using Ints = std::vector<int64_t>;

Result<ValueId> transform_rows(const OpContext& c, ValueId x, int64_t length) {
  return c.b.add(ops::kDft, {x}, {{"length", length}, {"onesided", true}});
}

/// Along the dimension before the last one of complex numbers [..., n, bins, 2].
Result<ValueId> transform_columns(const OpContext& c, ValueId x, int64_t length) {
  Ints exchanged;
  for (int d = 0; d < c.type(x).shape.rank(); ++d) exchanged.push_back(d);
  std::swap(exchanged[exchanged.size() - 3], exchanged[exchanged.size() - 2]);
  const ValueId columns = c.b.add(ops::kTranspose, {x}, {{"perm", exchanged}});
  const ValueId y = c.b.add(ops::kDft, {columns}, {{"complex", true}, {"length", length}});
  return c.b.add(ops::kTranspose, {y}, {{"perm", exchanged}});
}

// The last two dimensions, each padded with zeros or cut to its length; half of the last one says
// all.
Result<ValueId> rfft2d(const OpContext& c) {
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const Ints lengths, c.ints(1));
  const Shape shape = c.type(x).shape;
  if (c.type(x).dtype != DType::kF32 || shape.rank() < 2 || lengths.size() != 2) {
    return invalid_data("of ", c.type(x), " with ", lengths.size(),
                        " lengths; expected a float32 matrix and 2");
  }
  for (const int64_t length : lengths) {
    if (length < 1) return invalid_data("a length of ", length, "; expected 1 or more");
  }
  EW_TRY(const ValueId rows, transform_rows(c, x, lengths[1]));
  if (!c.b.ok() || (shape[-2] == 1 && lengths[0] == 1)) return rows;
  return transform_columns(c, rows, lengths[0]);
}

Result<ValueId> part(const OpContext& c, int64_t which) {
  if (!c.is_complex(0)) return unsupported("of real numbers");
  return c.real_or_imaginary(which);
}
Result<ValueId> real(const OpContext& c) { return part(c, 0); }
Result<ValueId> imag(const OpContext& c) { return part(c, 1); }

Result<ValueId> complex_abs(const OpContext& c) {
  if (!c.is_complex(0)) return unsupported("of real numbers");
  EW_TRY(const ValueId x, c.in(0));
  const ValueId sum = c.b.add(ops::kReduceSum, {c.b.add(ops::kSquare, {x})}, {{"axes", Ints{-1}}});
  return c.b.add(ops::kSqrt, {sum});
}

const Lowering kLowerings[] = {
    {BuiltinOperator::kComplexAbs, one<complex_abs>},
    {BuiltinOperator::kImag, one<imag>},
    {BuiltinOperator::kReal, one<real>},
    {BuiltinOperator::kRfft2d, one<rfft2d>},
};

}  // namespace

std::span<const Lowering> signal_lowerings() { return kLowerings; }

}  // namespace ew::formats::tflite
