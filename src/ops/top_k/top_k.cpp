/// top_k: the k largest (or smallest) elements along one axis, in order, and their places.
///
///   inputs   x: any dtype
///   outputs  values: the axis has k elements; indices: int64, of equals the lower place first
///   attrs    axis, k, smallest
///   errors   kInvalidArgument if the axis is out of range or shorter than k
#include <algorithm>
#include <numeric>

#include "ops/ops.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"axis", int64_t{-1}}, {"k", int64_t{1}}, {"smallest", false}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  Shape shape = in[0]->shape;
  EW_TRY(const int axis, normalize_axis(attrs.integer("axis"), shape.rank()));
  const int64_t k = attrs.integer("k");
  if (k < 0 || k > kMaxElements || (shape[axis] != kUnknown && k > shape[axis])) {
    return invalid_argument("cannot take ", k, " elements of axis ", axis, " of ", shape);
  }
  shape[axis] = k;
  return std::vector<TensorType>{{in[0]->dtype, shape, nullptr}, {DType::kI64, shape, nullptr}};
}

template <typename T>
void select(ConstTensorView in, Views out, const AxisSplit& s, int64_t k, bool smallest) {
  const T* x = in.as<T>();
  T* y = out[0].as<T>();
  auto* places = out[1].as<int64_t>();
  std::vector<int64_t> order(static_cast<size_t>(s.axis));
  for (int64_t o = 0; o < s.outer; ++o) {
    for (int64_t i = 0; i < s.inner; ++i) {
      const T* row = x + o * s.axis * s.inner + i;
      std::iota(order.begin(), order.end(), int64_t{0});
      // NaN counts as the largest, so that the order is strict.
      const auto before = [&](int64_t a, int64_t b) {
        const T u = row[(smallest ? a : b) * s.inner];
        const T v = row[(smallest ? b : a) * s.inner];
        if (u < v || (v != v && u == u)) return true;
        if (v < u || (u != u && v == v)) return false;
        return a < b;
      };
      std::partial_sort(order.begin(), order.begin() + k, order.end(), before);
      for (int64_t a = 0; a < k; ++a) {
        const int64_t at = (o * k + a) * s.inner + i;
        places[at] = order[static_cast<size_t>(a)];
        y[at] = row[places[at] * s.inner];
      }
    }
  }
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const AxisSplit s = split_at(shape, *normalize_axis(attrs.integer("axis"), shape.rank()));
  // A run-time size may be below k only if the shape was open; infer() checks the final one.
  const int64_t k = std::min(attrs.integer("k"), s.axis);
  dispatch_dtype(in[0].dtype(), [&]<typename T>() {
    if constexpr (std::is_arithmetic_v<T>) select<T>(in[0], out, s, k, attrs.flag("smallest"));
  });
}

}  // namespace

const OpDef kTopK{.name = "top_k", .attrs = kAttrs, .infer = infer, .reference = reference};

}  // namespace ew::ops
