// Products with weights of four bits in groups of inputs: MatMulNBits of ONNX Runtime's own domain.
// The inputs are quantised while the model runs, as the operator's accuracy_level 4 allows.
#include "formats/onnx/handlers.h"

namespace ew::formats::onnx {
namespace {

struct Sizes {
  int64_t rows, columns, group, groups;
};

/// [outputs, groups, bytes] of two values plus 8 each, as a kernel [K, N].
Tensor unpack(const Sizes& s, const Tensor& packed, const Tensor& scales) {
  Tensor w(DType::kI8, Shape{s.rows, s.columns});
  ir::QuantParams quant;
  quant.axis = 1;
  const auto bytes = packed.values<uint8_t>();
  const auto from = scales.values<float>();
  const auto to = w.mutable_values<int8_t>();
  for (int64_t g = 0; g < s.groups; ++g) {
    for (int64_t c = 0; c < s.columns; ++c) {
      quant.scales.push_back(from[static_cast<size_t>(c * s.groups + g)]);
      quant.zero_points.push_back(0);
      for (int64_t i = 0; i < s.group && g * s.group + i < s.rows; ++i) {
        const auto at = static_cast<size_t>((c * s.groups + g) * (s.group / 2) + i / 2);
        const int value = (bytes[at] >> (i % 2 * 4)) & 15;
        to[static_cast<size_t>((g * s.group + i) * s.columns + c)] = static_cast<int8_t>(value - 8);
      }
    }
  }
  w.set_quant(std::make_shared<const ir::QuantParams>(std::move(quant)));
  return w;
}

/// Zero points, if given, must say 8 everywhere, which is what their absence means.
bool are_symmetric(const Tensor& zeros) {
  if (zeros.dtype() != DType::kU8) return false;
  for (const uint8_t pair : zeros.values<uint8_t>()) {
    if (pair != 0x88) return false;
  }
  return true;
}

}  // namespace

void read_matmul_nbits(Call& c) {
  const int64_t rows = c.integer("K", 0);
  const int64_t columns = c.integer("N", 0);
  const int64_t group = c.integer("block_size", 0);
  const ValueId x = c.x(0);
  const Tensor packed = c.known(1, "weights");
  const Tensor scales = c.known(2, "scales");
  if (!c.ok()) return;
  if (c.integer("bits", 4) != 4 || c.dtype(x) != DType::kF32 || scales.dtype() != DType::kF32 ||
      packed.dtype() != DType::kU8) {
    c.unsupported("other than 4 bits with float32 inputs and scales");
    return;
  }
  if (c.has(4)) {
    c.unsupported("inputs in another order (g_idx)");
    return;
  }
  if (c.has(3) && !are_symmetric(c.known(3, "zero points"))) {
    c.unsupported("zero points other than 8");
    return;
  }
  constexpr int64_t kMost = int64_t{1} << 31;
  if (rows < 1 || columns < 1 || group < 16 || (group & (group - 1)) != 0 || rows > kMost ||
      columns > kMost || group > kMost) {
    c.fail("expected positive K and N and a block_size of 16, 32, 64, ..., found ", rows, ", ",
           columns, " and ", group);
    return;
  }
  const int64_t groups = (rows + group - 1) / group;
  if (packed.size() / (group / 2) / groups != columns ||
      packed.size() != columns * groups * (group / 2) || scales.size() != columns * groups) {
    c.fail("expected ", columns, " x ", groups, " blocks of ", group / 2, " bytes and as many ",
           "scales, found ", packed.size(), " bytes and ", scales.size(), " scales");
    return;
  }
  const Tensor w = unpack({rows, columns, group, groups}, packed, scales);
  std::vector<ValueId> in{x, c.m().b().constant(w)};
  if (c.has(5)) in.push_back(c.x(5));
  c.set(0, c.emit(ops::kDense, in, {{"asymmetric_inputs", true}}));
}

}  // namespace ew::formats::onnx
