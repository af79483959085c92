// Normalisations of ONNX, as compositions.
#include <algorithm>

#include "formats/onnx/handlers.h"

namespace ew::formats::onnx {
namespace {

// (x - mean) / sqrt(variance + epsilon) over `axes`; the mean and the inverse deviation too.
struct Standardised {
  ValueId y = kNoValue;
  ValueId mean = kNoValue;
  ValueId inverse = kNoValue;
};

Standardised standardise(Call& c, ValueId x, const std::vector<int64_t>& axes, double epsilon) {
  Standardised s;
  s.mean = c.reduce("mean", x, axes, true);
  const ValueId centred = c.sub(x, s.mean);
  const ValueId variance = c.reduce("mean", c.emit(ops::kSquare, {centred}), axes, true);
  s.inverse = c.emit(ops::kRsqrt, {c.add(variance, c.scalar_like(epsilon, variance))});
  s.y = c.mul(centred, s.inverse);
  return s;
}

std::vector<int64_t> range(int begin, int end) {
  std::vector<int64_t> axes;
  for (int d = begin; d < end; ++d) axes.push_back(d);
  return axes;
}

// [C] against the channels of [N, C, spatial...].
ValueId per_channel(Call& c, ValueId vector, int rank) {
  std::vector<int64_t> shape(static_cast<size_t>(std::max(rank - 1, 1)), 1);
  shape[0] = c.ok() && c.rank(vector) == 1 ? c.shape(vector)[0] : 1;
  return c.reshape(vector, shape);
}

}  // namespace

void read_batch_normalization(Call& c) {
  const ValPtr value = c.val(0);
  const ValueId scale = c.x(1);
  const ValueId shift = c.x(2);
  const ValueId mean = c.x(3);
  const ValueId variance = c.x(4);
  if (!c.ok()) return;
  const double epsilon = c.number("epsilon", 1e-5F);
  if (c.integer("training_mode", 0) == 0) {
    const bool is_last = value->form[kLast] != kNoValue;
    const ValueId x = is_last ? value->form[kLast] : c.x();
    if (!c.ok()) return;
    const int axis = is_last ? c.rank(x) - 1 : std::min(1, c.rank(x) - 1);
    const DType own = c.dtype(x);
    const ValueId y = c.emit(
        ops::kBatchNorm,
        {x, c.cast(scale, own), c.cast(shift, own), c.cast(mean, own), c.cast(variance, own)},
        {{"axis", int64_t{axis}}, {"epsilon", epsilon}});
    return c.set(0, y, is_last ? kLast : kPlain);
  }
  const ValueId x = c.x();
  if (!c.ok()) return;
  const int rank = c.rank(x);
  std::vector<int64_t> axes = range(2, rank);
  axes.insert(axes.begin(), 0);
  const Standardised s = standardise(c, x, axes, epsilon);
  c.set(0, c.add(c.mul(s.y, per_channel(c, scale, rank)), per_channel(c, shift, rank)));
  const double momentum = c.number("momentum", 0.9F);
  const auto moving = [&](ValueId old, ValueId now) {
    return c.add(c.mul(old, c.scalar_like(momentum, old)),
                 c.mul(c.cast(now, c.dtype(old)), c.scalar_like(1 - momentum, old)));
  };
  const ValueId now_mean = c.reduce("mean", x, axes, false);
  const ValueId centred = c.sub(x, s.mean);
  const ValueId now_variance = c.reduce("mean", c.emit(ops::kSquare, {centred}), axes, false);
  if (!c.ok()) return;
  c.set(1, moving(mean, now_mean));
  c.set(2, moving(variance, now_variance));
}

void read_instance_normalization(Call& c) {
  const ValueId x = c.x();
  const ValueId scale = c.x(1);
  const ValueId shift = c.x(2);
  if (!c.ok()) return;
  const int rank = c.rank(x);
  const Standardised s = standardise(c, x, range(2, rank), c.number("epsilon", 1e-5F));
  c.set(0, c.add(c.mul(s.y, per_channel(c, scale, rank)), per_channel(c, shift, rank)));
}

void read_group_normalization(Call& c) {
  const ValueId x = c.x();
  ValueId scale = c.x(1);
  ValueId shift = c.x(2);
  const int64_t groups = c.integer("num_groups", 1);
  if (!c.need_static(x, "the shape")) return;
  const Shape shape = c.shape(x);
  const int rank = shape.rank();
  if (rank < 3 || groups < 1 || shape[1] % groups != 0 || c.rank(scale) != 1) {
    c.fail("cannot cut the channels of ", shape, " into ", groups, " groups");
    return;
  }
  const int64_t each = shape[1] / groups;
  // Up to opset 20 there is one factor per group.
  if (c.shape(scale)[0] == groups && groups != shape[1]) {
    scale = c.emit(ops::kRepeat, {scale}, {{"axis", int64_t{0}}, {"repeats", each}});
    shift = c.emit(ops::kRepeat, {shift}, {{"axis", int64_t{0}}, {"repeats", each}});
  }
  const ValueId grouped = c.reshape(x, {shape[0], groups, each * shape.product(2, rank)});
  const Standardised s = standardise(c, grouped, {2}, c.number("epsilon", 1e-5F));
  const ValueId y = c.reshape(s.y, shape.dims());
  c.set(0, c.add(c.mul(y, per_channel(c, scale, rank)), per_channel(c, shift, rank)));
}

void read_layer_normalization(Call& c) {
  const ValueId x = c.x();
  const ValueId scale = c.x(1);
  if (!c.ok()) return;
  const int axis = c.axis_of(c.integer("axis", -1), x);
  const Standardised s = standardise(c, x, range(axis, c.rank(x)), c.number("epsilon", 1e-5F));
  ValueId y = c.mul(s.y, scale);
  if (c.has(2)) y = c.add(y, c.x(2));
  c.set(0, y);
  c.set(1, s.mean);
  c.set(2, s.inverse);
}

void read_mean_variance_normalization(Call& c) {
  const ValueId x = c.x();
  std::vector<int64_t> axes = c.ints("axes");
  if (axes.empty()) axes = {0, 2, 3};
  const ValueId mean = c.reduce("mean", x, axes, true);
  const ValueId mean_square = c.reduce("mean", c.emit(ops::kSquare, {x}), axes, true);
  const ValueId variance = c.sub(mean_square, c.emit(ops::kSquare, {mean}));
  const ValueId deviation = c.emit(ops::kSqrt, {variance});
  c.set(0, c.div(c.sub(x, mean), c.add(deviation, c.scalar_like(1e-9, deviation))));
}

void read_lp_normalization(Call& c) {
  const ValueId x = c.x();
  if (!c.ok()) return;
  const int64_t p = c.integer("p", 2);
  const std::vector<int64_t> axes{c.axis_of(c.integer("axis", -1), x)};
  if (p == 1) return c.set(0, c.div(x, c.reduce("sum", c.emit(ops::kAbs, {x}), axes, true)));
  const ValueId sum = c.reduce("sum", c.emit(ops::kSquare, {x}), axes, true);
  c.set(0, c.div(x, c.emit(ops::kSqrt, {sum})));
}

// x / (bias + alpha / size * sum of squares over `size` channels around)^beta
void read_lrn(Call& c) {
  const ValueId x = c.x();
  const int64_t size = c.integer("size", 1);
  if (!c.need_static(x, "the shape")) return;
  const Shape shape = c.shape(x);
  if (shape.rank() < 2 || size < 1 || size > 4096) {
    c.fail("cannot normalise ", shape, " over ", size, " channels");
    return;
  }
  std::vector<int64_t> pads(2 * static_cast<size_t>(shape.rank()), 0);
  pads[1] = (size - 1) / 2;
  pads[static_cast<size_t>(shape.rank()) + 1] = size - 1 - pads[1];
  const ValueId squares =
      c.emit(ops::kPad, {c.emit(ops::kSquare, {x})}, {{"pads", pads}, {"value", 0.0}});
  ValueId sum = kNoValue;
  for (int64_t k = 0; k < size; ++k) {
    const ValueId part = c.slice(squares, 1, k, k + shape[1]);
    sum = k == 0 ? part : c.add(sum, part);
  }
  const double alpha = c.number("alpha", 0.0001F) / static_cast<double>(size);
  const ValueId base =
      c.add(c.mul(sum, c.scalar_like(alpha, sum)), c.scalar_like(c.number("bias", 1), sum));
  c.set(0, c.div(x, c.emit(ops::kPower, {base}, {{"alpha", c.number("beta", 0.75)}})));
}

}  // namespace ew::formats::onnx
