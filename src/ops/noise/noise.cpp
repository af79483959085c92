/// noise: x changed by random numbers that depend on (seed, stream, step, index) alone, so that
/// they are the same at any number of threads and can be made again. By `kind`:
///   "keep"              x * scale, or 0 with probability `drop`
///   "multiply_normal"   x * (1 + scale * z), z standard normal
///   "add_normal"        x + scale * z
///
///   inputs   x: floating; step: int64 scalar
///   outputs  y: shape of x
///   attrs    kind, drop, scale; noise_shape: as dropout; seed, stream
///   errors   kInvalidArgument for an unknown kind or a step that is no int64 scalar
#include <numbers>

#include "base/rng.h"
#include "ops/ops.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {
    {"kind", std::string("keep")},           {"drop", 0.0},        {"scale", 1.0},
    {"noise_shape", std::vector<int64_t>{}}, {"seed", int64_t{0}}, {"stream", int64_t{0}}};

Shape noise_shape(const Shape& x, const Attrs& attrs) {
  Shape shape = x;
  const std::vector<int64_t>& given = attrs.ints("noise_shape");
  for (size_t d = 0; d < given.size(); ++d) {
    if (given[d] == 1) shape[static_cast<int>(d)] = 1;
  }
  return shape;
}

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
  const std::string& kind = attrs.text("kind");
  if (kind != "keep" && kind != "multiply_normal" && kind != "add_normal") {
    return invalid_argument("unknown kind of noise '", kind, "'");
  }
  if (in[1]->dtype != DType::kI64 || in[1]->shape.rank() != 0) {
    return invalid_argument("expected the step as int64 scalar, found ", *in[1]);
  }
  const std::vector<int64_t>& noise = attrs.ints("noise_shape");
  if (!noise.empty() && static_cast<int>(noise.size()) != in[0]->shape.rank()) {
    return invalid_argument("noise_shape ", noise, " does not fit ", in[0]->shape);
  }
  return infer_same(in, attrs);
}

// In [0, 1) with 53 bits.
double uniform(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const auto seed = static_cast<uint64_t>(attrs.integer("seed"));
  const auto step = static_cast<uint64_t>(*in[1].as<int64_t>());
  // Streams are few and steps fewer than 2^40: no two pairs meet.
  const uint64_t stream = (static_cast<uint64_t>(attrs.integer("stream")) << 40) ^ step;
  const double drop = attrs.number("drop");
  const double scale = attrs.number("scale");
  const std::string& kind = attrs.text("kind");
  const BroadcastIndex index(noise_shape(in[0].shape(), attrs), in[0].shape());
  // Box and Muller: two uniform numbers make one normal.
  const auto normal = [&](uint64_t i) {
    const double radius = std::sqrt(-2 * std::log1p(-uniform(counter_hash(seed, stream, 2 * i))));
    return radius * std::cos(2 * std::numbers::pi * uniform(counter_hash(seed, stream, 2 * i + 1)));
  };
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* x = in[0].as<T>();
    T* y = out[0].as<T>();
    for (int64_t i = 0; i < in[0].size(); ++i) {
      const auto at = static_cast<uint64_t>(index(i));
      const auto value = static_cast<double>(x[i]);
      double result = 0;
      if (kind == "keep") {
        result = uniform(counter_hash(seed, stream, at)) >= drop ? value * scale : 0.0;
      } else if (kind == "multiply_normal") {
        result = value * (1 + scale * normal(at));
      } else {
        result = value + scale * normal(at);
      }
      y[i] = static_cast<T>(result);
    }
  });
}

}  // namespace

const OpDef kNoise{.name = "noise",
                   .attrs = kAttrs,
                   .min_inputs = 2,
                   .max_inputs = 2,
                   .infer = infer,
                   .reference = reference,
                   .in_place = true};

}  // namespace ew::ops
