/// overlap_add: the sum of frames at their places in a signal,
/// y[t] = sum over f, i with f * step + i = t of x[f, i]. The transpose of frame.
///
///   inputs   x: floating [outer..., F, length, inner...]
///   outputs  y: [outer..., T, inner...]
///   attrs    axis: of F, default -2; step; size: T, 0 for (F - 1) * step + length
///   errors   kInvalidArgument for a step below 1 or a size that does not hold the frames
#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"axis", int64_t{-2}}, {"step", int64_t{1}}, {"size", int64_t{0}}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
  const Shape& x = in[0]->shape;
  EW_TRY(const int axis, normalize_axis(attrs.integer("axis"), x.rank()));
  if (axis + 1 == x.rank()) return invalid_argument("expected frames, found ", x);
  const int64_t step = attrs.integer("step");
  const int64_t size = attrs.integer("size");
  if (step < 1 || step > kMaxElements || size < 0) {
    return invalid_argument("expected a step of 1 or more and a size of 0 or more, found ", step,
                            " and ", size);
  }
  std::vector<int64_t> dims = x.dims();
  const int64_t frames = x[axis];
  const int64_t length = x[axis + 1];
  int64_t needed = kUnknown;
  if (frames != kUnknown && length != kUnknown) {
    if (frames > kMaxElements / step) {
      return invalid_argument(frames, " frames a step of ", step, " apart are too many");
    }
    needed = frames == 0 ? 0 : (frames - 1) * step + length;
  }
  if (size != 0 && needed != kUnknown && size < needed) {
    return invalid_argument("size: expected at least ", needed, ", found ", size);
  }
  dims.erase(dims.begin() + axis);
  dims[static_cast<size_t>(axis)] = size == 0 ? needed : size;
  return one_output(in[0]->dtype, Shape(dims));
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& x = in[0].shape();
  const int axis = *normalize_axis(attrs.integer("axis"), x.rank());
  const AxisSplit s = split_at(x, axis);
  const int64_t length = x[axis + 1];
  const int64_t inner = length == 0 ? 0 : s.inner / length;
  const int64_t size = out[0].shape()[axis];
  const int64_t step = attrs.integer("step");
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* from = in[0].as<T>();
    T* y = out[0].as<T>();
    std::vector<double> sums(static_cast<size_t>(size * inner));
    for (int64_t o = 0; o < s.outer; ++o) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (int64_t f = 0; f < s.axis; ++f) {
        double* place = sums.data() + f * step * inner;
        for (int64_t i = 0; i < length * inner; ++i) place[i] += static_cast<double>(*from++);
      }
      for (const double sum : sums) *y++ = static_cast<T>(sum);
    }
  });
}

}  // namespace

const OpDef kOverlapAdd{
    .name = "overlap_add", .attrs = kAttrs, .infer = infer, .reference = reference};

}  // namespace ew::ops
