/// gather: y[i..., :] = table[ids[i...], :]: the rows of a table by number (embedding lookup).
///
///   inputs   table: any dtype, [N, ...]; ids: integer or floating (the fraction is dropped), any
///            shape
///   outputs  y: shape of ids followed by the shape of a row; an id outside [0, N) gives zeros
///   errors   kInvalidArgument for a table without rank or ids of type bool
#include <cstring>

#include "ops/gather/ids.h"

namespace ew::ops {
namespace {

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs&) {
  if (in[0]->shape.rank() < 1) return invalid_argument("expected a table of rank 1 or more");
  if (in[1]->dtype == DType::kBool) return invalid_argument("ids are bool, expected integers");
  Shape shape = in[1]->shape;
  for (int d = 1; d < in[0]->shape.rank(); ++d) shape.dims().push_back(in[0]->shape[d]);
  return std::vector<TensorType>{{in[0]->dtype, std::move(shape), nullptr}};
}

void reference(ConstViews in, Views out, const Attrs&) {
  const Shape& table = in[0].shape();
  const size_t row =
      static_cast<size_t>(table.product(1, table.rank())) * dtype_size(in[0].dtype());
  const auto* source = static_cast<const uint8_t*>(in[0].data);
  auto* target = static_cast<uint8_t*>(out[0].data);
  for_each_id(in[1], [&](int64_t i, int64_t id) {
    uint8_t* to = target + static_cast<size_t>(i) * row;
    if (id >= 0 && id < table[0])
      std::memcpy(to, source + static_cast<size_t>(id) * row, row);
    else
      std::memset(to, 0, row);
  });
}

void reference_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  reference(in, out, attrs);
}

}  // namespace

const OpDef kGather{.name = "gather",
                    .min_inputs = 2,
                    .max_inputs = 2,
                    .infer = infer,
                    .reference = reference,
                    .reference_i8 = reference_i8};

}  // namespace ew::ops
