/// pad: x with a constant around it.
///
///   inputs   x: any dtype
///   outputs  y: every dimension d grows by pads[d] + pads[rank + d]
///   attrs    pads: elements added at the begin of every dimension, then at every end; value
///   quant    as the input
///   errors   kInvalidArgument for pads of the wrong count or sign
#include <algorithm>
#include <cstring>

#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"pads", std::vector<int64_t>{}}, {"value", 0.0}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  Shape shape = in[0]->shape;
  const std::vector<int64_t>& pads = attrs.ints("pads");
  const auto rank = static_cast<size_t>(shape.rank());
  const bool fits = pads.size() == 2 * rank && std::all_of(pads.begin(), pads.end(), [](int64_t p) {
                      return p >= 0 && p <= kMaxElements;
                    });
  if (!fits) {
    return invalid_argument("expected ", 2 * rank, " pads of 0 or more, found ", pads);
  }
  for (size_t d = 0; d < rank; ++d) {
    int64_t& size = shape[static_cast<int>(d)];
    if (size != kUnknown) size += pads[d] + pads[rank + d];
  }
  return one_output(in[0]->dtype, std::move(shape));
}

// Fills with `fill` (one element) and copies x row by row of its last dimension.
void pad_with(ConstViews in, Views out, const Attrs& attrs, const uint8_t* fill) {
  const Shape& from = in[0].shape();
  const std::vector<int64_t> strides = strides_of(out[0].shape());
  const std::vector<int64_t>& pads = attrs.ints("pads");
  const size_t size = dtype_size(in[0].dtype());
  auto* target = static_cast<uint8_t*>(out[0].data);
  const auto* source = static_cast<const uint8_t*>(in[0].data);
  for (int64_t i = 0; i < out[0].size(); ++i) {
    std::memcpy(target + static_cast<size_t>(i) * size, fill, size);
  }
  const int64_t row = from.rank() == 0 ? 1 : from[-1];
  for (int64_t i = 0; i < in[0].size(); i += row) {
    int64_t rest = i;
    int64_t at = 0;
    for (int d = from.rank() - 1; d >= 0; --d) {
      at += (rest % from[d] + pads[static_cast<size_t>(d)]) * strides[static_cast<size_t>(d)];
      rest /= from[d];
    }
    std::memcpy(target + static_cast<size_t>(at) * size, source + static_cast<size_t>(i) * size,
                static_cast<size_t>(row) * size);
  }
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const double value = attrs.number("value");
  uint8_t fill[8] = {};
  convert_elements(DType::kF64, &value, in[0].dtype(), fill, 1);
  pad_with(in, out, attrs, fill);
}

void reference_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  const ir::QuantParams& q = *in[0].type->quant;
  const double value = attrs.number("value") / static_cast<double>(q.scales[0]);
  const double stored = std::nearbyint(value) + q.zero_points[0];
  uint8_t fill[8] = {};
  convert_elements(DType::kF64, &stored, in[0].dtype(), fill, 1);
  pad_with(in, out, attrs, fill);
}

}  // namespace

const OpDef kPad{.name = "pad",
                 .attrs = kAttrs,
                 .infer = infer,
                 .reference = reference,
                 .reference_i8 = reference_i8,
                 .quant = QuantRule::same_as_input()};

}  // namespace ew::ops
