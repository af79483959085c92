/// reduce: the sum, mean, product, maximum or minimum over some dimensions, of any dtype.
///
///   inputs   x: any dtype but bool; bool for "max" (any) and "min" (all)
///   attrs    kind: "sum", "mean", "prod", "max", "min"; axes: dimensions to reduce, empty for all;
///            keepdims: keep them as 1
///   errors   kInvalidArgument for an unknown kind or an axis out of range
///
/// Floats accumulate in double; integers wrap around. Of nothing, the sum is 0, the product 1, the
/// maximum the lowest and the minimum the highest value of the dtype.
#include "ops/reduce.h"

#include <algorithm>
#include <limits>

namespace ew::ops {
namespace {

// Not kReduceAttrs: of two files, either may be initialised first.
const AttrDef kAttrs[] = {
    {"kind", std::string("sum")}, {"axes", std::vector<int64_t>{}}, {"keepdims", false}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  const std::string& kind = attrs.text("kind");
  const bool is_order = kind == "max" || kind == "min";
  if (kind != "sum" && kind != "mean" && kind != "prod" && !is_order) {
    return invalid_argument("kind: expected sum, mean, prod, max or min, found '", kind, "'");
  }
  if (in[0]->dtype == DType::kBool && !is_order) {
    return invalid_argument("cannot take the ", kind, " of bool");
  }
  return infer_reduced_shape(in, attrs);
}

template <typename T>
struct Sum {
  using Wide = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;
};

template <typename T>
void accumulate(ConstTensorView in, TensorView out, const std::string& kind, const Attrs& attrs) {
  using Limits = std::numeric_limits<T>;
  using Wide = typename Sum<T>::Wide;
  const BroadcastIndex index(keepdims_shape(in.shape(), attrs), in.shape());
  const T* x = in.as<T>();
  T* y = out.as<T>();
  const int64_t n = in.size();
  const int64_t m = out.size();
  if (kind == "max" || kind == "min") {
    const bool is_max = kind == "max";
    const T infinity = Limits::has_infinity ? Limits::infinity() : Limits::max();
    const T lowest = Limits::has_infinity ? static_cast<T>(-infinity) : Limits::lowest();
    std::fill_n(y, m, is_max ? lowest : infinity);
    for (int64_t i = 0; i < n; ++i) {
      T& t = y[index(i)];
      // A NaN wins over everything.
      if (x[i] != x[i] || (is_max ? x[i] > t : x[i] < t)) t = x[i];
    }
    return;
  }
  const bool is_product = kind == "prod";
  std::vector<Wide> total(static_cast<size_t>(m), static_cast<Wide>(is_product ? 1 : 0));
  for (int64_t i = 0; i < n; ++i) {
    Wide& t = total[static_cast<size_t>(index(i))];
    t = is_product ? t * static_cast<Wide>(x[i]) : t + static_cast<Wide>(x[i]);
  }
  const int64_t count = m > 0 ? n / m : 1;
  for (int64_t i = 0; i < m; ++i) {
    const Wide t = total[static_cast<size_t>(i)];
    if (kind != "mean" || count == 0) {
      y[i] = static_cast<T>(t);
    } else if constexpr (std::is_floating_point_v<T>) {
      y[i] = static_cast<T>(t / static_cast<double>(count));
    } else {
      y[i] = static_cast<T>(static_cast<int64_t>(t) / count);
    }
  }
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const std::string& kind = attrs.text("kind");
  dispatch_dtype(in[0].dtype(), [&]<typename T>() {
    if constexpr (std::is_arithmetic_v<T>) accumulate<T>(in[0], out[0], kind, attrs);
  });
}

}  // namespace

const OpDef kReduce{.name = "reduce", .attrs = kAttrs, .infer = infer, .reference = reference};

}  // namespace ew::ops
