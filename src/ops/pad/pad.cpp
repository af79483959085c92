/// pad: x with a constant around it.
///
///   inputs   x: any dtype
///   outputs  y: every dimension d grows by pads[d] + pads[rank + d]
///   attrs    pads: elements added at the begin of every dimension, then at every end; value
///   quant    as the input
///   errors   kInvalidArgument for pads of the wrong count or sign
#include <algorithm>
#include <cstring>

#include "ops/strided_copy.h"
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

// Fills with `fill` (one element) and copies x into the middle.
void pad_with(ConstViews in, Views out, const Attrs& attrs, const uint8_t* fill) {
  const Shape& shape = in[0].shape();
  const std::vector<int64_t> from = strides_of(shape);
  const std::vector<int64_t> to = strides_of(out[0].shape());
  const std::vector<int64_t>& pads = attrs.ints("pads");
  const size_t size = dtype_size(in[0].dtype());
  const size_t bytes = static_cast<size_t>(out[0].size()) * size;
  auto* target = static_cast<uint8_t*>(out[0].data);
  if (std::all_of(fill, fill + size, [&](uint8_t byte) { return byte == fill[0]; })) {
    if (bytes > 0) std::memset(target, fill[0], bytes);
  } else {
    for (size_t at = 0; at < bytes; at += size) std::memcpy(target + at, fill, size);
  }
  std::vector<CopyDim> dims;
  int64_t first = 0;
  for (int d = 0; d < shape.rank(); ++d) {
    const auto at = static_cast<size_t>(d);
    first += pads[at] * to[at];
    dims.push_back({shape[d], from[at], to[at]});
  }
  strided_copy(std::move(dims), size, in[0].data, target + first * static_cast<int64_t>(size));
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
