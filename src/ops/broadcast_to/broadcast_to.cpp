/// broadcast_to: x repeated along its dimensions of size 1 to the target shape (NumPy's rule).
///
///   inputs   x: any dtype
///   attrs    shape: static target shape
///   errors   kInvalidArgument if x does not broadcast to it
#include <cstring>

#include "ops/ops.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"shape", std::vector<int64_t>{}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  const Shape target(attrs.ints("shape"));
  EW_TRY(const Shape reached, broadcast(in[0]->shape, target));
  if (reached != target) return invalid_argument("cannot broadcast ", in[0]->shape, " to ", target);
  return std::vector<TensorType>{{in[0]->dtype, target, nullptr}};
}

void reference(ConstViews in, Views out, const Attrs&) {
  const BroadcastIndex index(in[0].shape(), out[0].shape());
  const size_t size = dtype_size(in[0].dtype());
  const auto* source = static_cast<const uint8_t*>(in[0].data);
  auto* target = static_cast<uint8_t*>(out[0].data);
  const int64_t n = out[0].size();
  for (int64_t i = 0; i < n; ++i) {
    std::memcpy(target + static_cast<size_t>(i) * size,
                source + static_cast<size_t>(index(i)) * size, size);
  }
}

void reference_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  reference(in, out, attrs);
}

}  // namespace

const OpDef kBroadcastTo{.name = "broadcast_to",
                         .attrs = kAttrs,
                         .infer = infer,
                         .reference = reference,
                         .reference_i8 = reference_i8};

}  // namespace ew::ops
