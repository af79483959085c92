/// scatter: a table with some rows replaced by others or combined with them.
///
///   inputs   table: [N, row...]; ids: integer, any shape; updates: shape of ids, then of a row
///   outputs  y: shape of table; an id outside [0, N) changes nothing
///   attrs    kind: "set" (of several the last one), "add", "mul", "max", "min"
///   errors   kInvalidArgument for shapes or dtypes that do not fit together
#include <cstring>

#include "ops/gather/ids.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"kind", std::string("set")}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  const std::string& kind = attrs.text("kind");
  if (kind != "set" && kind != "add" && kind != "mul" && kind != "max" && kind != "min") {
    return invalid_argument("kind: expected set, add, mul, max or min, found '", kind, "'");
  }
  const Shape& table = in[0]->shape;
  if (table.rank() < 1) return invalid_argument("expected a table of rank 1 or more");
  if (in[1]->dtype == DType::kBool) return invalid_argument("ids are bool, expected integers");
  Shape expected = in[1]->shape;
  for (int d = 1; d < table.rank(); ++d) expected.dims().push_back(table[d]);
  const Shape& found = in[2]->shape;
  bool fits = found.rank() == expected.rank() && in[2]->dtype == in[0]->dtype;
  for (int d = 0; fits && d < found.rank(); ++d) {
    fits = found[d] == expected[d] || found[d] == kUnknown || expected[d] == kUnknown;
  }
  if (!fits) {
    return invalid_argument("expected updates of shape ", expected, " and dtype ", in[0]->dtype,
                            ", found ", *in[2]);
  }
  return std::vector<TensorType>{{in[0]->dtype, table, nullptr}};
}

template <typename T>
T combined(const std::string& kind, T a, T b) {
  if (kind == "max") return a > b ? a : b;
  if (kind == "min") return a < b ? a : b;
  using Wide = std::conditional_t<std::is_integral_v<T>, uint64_t, T>;
  const auto u = static_cast<Wide>(a);
  const auto v = static_cast<Wide>(b);
  if (kind == "add") return static_cast<T>(u + v);
  if (kind == "mul") return static_cast<T>(u * v);
  return b;
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& table = in[0].shape();
  const std::string& kind = attrs.text("kind");
  const int64_t row = table.product(1, table.rank());
  const size_t bytes = static_cast<size_t>(in[0].size()) * dtype_size(in[0].dtype());
  if (bytes > 0) std::memcpy(out[0].data, in[0].data, bytes);
  dispatch_dtype(in[0].dtype(), [&]<typename T>() {
    if constexpr (std::is_arithmetic_v<T>) {
      const T* source = in[2].as<T>();
      T* target = out[0].as<T>();
      for_each_id(in[1], [&](int64_t i, int64_t id) {
        if (id < 0 || id >= table[0]) return;
        for (int64_t k = 0; k < row; ++k) {
          T& t = target[id * row + k];
          t = combined(kind, t, source[i * row + k]);
        }
      });
    }
  });
}

}  // namespace

const OpDef kScatter{.name = "scatter",
                     .attrs = kAttrs,
                     .min_inputs = 3,
                     .max_inputs = 3,
                     .infer = infer,
                     .reference = reference};

}  // namespace ew::ops
