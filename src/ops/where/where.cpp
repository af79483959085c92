/// where: x where the condition holds, else y, with NumPy broadcasting of all three.
///
///   inputs   condition: bool; x, y: one dtype
///   errors   kInvalidArgument if dtypes differ or shapes do not broadcast
#include <cstring>

#include "ops/ops.h"

namespace ew::ops {
namespace {

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs&) {
  if (in[0]->dtype != DType::kBool) {
    return invalid_argument("expected a condition of type bool, found ", in[0]->dtype);
  }
  if (in[1]->dtype != in[2]->dtype) {
    return invalid_argument("inputs have different dtypes: ", in[1]->dtype, " and ", in[2]->dtype);
  }
  EW_TRY(Shape shape, broadcast(in[1]->shape, in[2]->shape));
  EW_TRY(shape, broadcast(shape, in[0]->shape));
  return std::vector<TensorType>{{in[1]->dtype, std::move(shape), nullptr}};
}

void reference(ConstViews in, Views out, const Attrs&) {
  const BroadcastIndex condition(in[0].shape(), out[0].shape());
  const BroadcastIndex index[] = {{in[1].shape(), out[0].shape()}, {in[2].shape(), out[0].shape()}};
  const size_t size = dtype_size(out[0].dtype());
  auto* target = static_cast<uint8_t*>(out[0].data);
  // Bytes and not bool: a caller's byte may be any, and one above 1 is no value of bool.
  const auto* chosen = static_cast<const uint8_t*>(in[0].data);
  const int64_t n = out[0].size();
  for (int64_t i = 0; i < n; ++i) {
    const size_t k = chosen[condition(i)] != 0 ? 0 : 1;
    const auto* source = static_cast<const uint8_t*>(in[k + 1].data);
    std::memcpy(target + static_cast<size_t>(i) * size,
                source + static_cast<size_t>(index[k](i)) * size, size);
  }
}

void reference_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  reference(in, out, attrs);
}

}  // namespace

const OpDef kWhere{.name = "where",
                   .min_inputs = 3,
                   .max_inputs = 3,
                   .infer = infer,
                   .reference = reference,
                   .reference_i8 = reference_i8};

}  // namespace ew::ops
