/// dropout: the identity at inference. In training, by `kind`:
///   "dropout"            x / (1 - rate), or 0 with probability `rate`
///   "alpha_dropout"      dropped elements become SELU's negative saturation, then an affine map
///   that
///                        keeps mean and variance (arXiv 1706.02515)
///   "gaussian_dropout"   x * normal(1, sqrt(rate / (1 - rate)))
///   "gaussian_noise"     x + normal(0, rate)
///
///   inputs   x: floating
///   outputs  y: shape of x
///   attrs    kind; rate; noise_shape: one value per dimension, 1 where elements share their fate
///   and
///            -1 for the size of x; empty: no sharing
///   quant    as the input
///   errors   kInvalidArgument for a rate outside [0, 1] (a negative one for noise) or a
///   noise_shape
///            that does not broadcast to x
#include <cstring>

#include "ops/ops.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {
    {"kind", std::string("dropout")}, {"rate", 0.5}, {"noise_shape", std::vector<int64_t>{}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  const std::string& kind = attrs.text("kind");
  const double rate = attrs.number("rate");
  if (kind != "dropout" && kind != "alpha_dropout" && kind != "gaussian_dropout" &&
      kind != "gaussian_noise") {
    return invalid_argument("unknown kind of dropout '", kind, "'");
  }
  if (!(rate >= 0) || (kind != "gaussian_noise" && rate > 1)) {
    return invalid_argument("rate ", rate, " out of range");
  }
  const std::vector<int64_t>& noise = attrs.ints("noise_shape");
  const Shape& x = in[0]->shape;
  bool fits = noise.empty() || static_cast<int>(noise.size()) == x.rank();
  for (size_t d = 0; fits && d < noise.size(); ++d) {
    const int64_t size = x[static_cast<int>(d)];
    fits = noise[d] == 1 || noise[d] == -1 || noise[d] == size || size == kUnknown;
  }
  if (!fits) return invalid_argument("noise_shape ", noise, " does not broadcast to ", x);
  return infer_same(in, attrs);
}

void reference(ConstViews in, Views out, const Attrs&) {
  if (out[0].data == in[0].data) return;  // shares the input's storage
  const size_t bytes = static_cast<size_t>(in[0].size()) * dtype_size(in[0].dtype());
  if (bytes > 0) std::memcpy(out[0].data, in[0].data, bytes);
}

void reference_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  reference(in, out, attrs);
}

}  // namespace

const OpDef kDropout{.name = "dropout",
                     .attrs = kAttrs,
                     .infer = infer,
                     .reference = reference,
                     .reference_i8 = reference_i8,
                     .quant = QuantRule::same_as_input(),
                     .is_view = true,
                     .is_training_dependent = true};

}  // namespace ew::ops
