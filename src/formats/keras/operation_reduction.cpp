// Operations that reduce dimensions.
#include "formats/keras/operation.h"

namespace ew::formats {
namespace {

using ir::Builder;
using Values = std::vector<ValueId>;

struct Reduction {
  ValueId x;
  std::vector<int64_t> axes;
  bool keepdims;

  ir::Attrs attrs() const { return {{"axes", axes}, {"keepdims", keepdims}}; }
  ir::Attrs keeping() const { return {{"axes", axes}, {"keepdims", true}}; }
};

Result<Reduction> read(const OperationCall& call) {
  Reduction r;
  EW_TRY(r.x, call.tensor(0, {"x", "input_tensor"}));
  EW_TRY(r.axes, call.integers(1, {"axis"}, {}));
  EW_TRY(r.keepdims, call.flag(2, {"keepdims", "keep_dims"}, false));
  if (r.axes.empty() && call.argument(1, {"axis"}).is_list()) {
    return unsupported("a reduction over an empty list of axes");
  }
  return r;
}

// Integers are summed and compared in float64 and come back as they were.
ValueId reduce(Builder& b, const ir::OpDef& op, const Reduction& r, const ir::Attrs& attrs) {
  if (!b.ok()) return kNoValue;
  const DType dtype = b.type(r.x).dtype;
  if (is_floating(dtype)) return b.add(op, {r.x}, attrs);
  return cast(b, b.add(op, {cast(b, r.x, DType::kF64)}, attrs), dtype);
}

Result<Values> sum(const OperationCall& call) {
  EW_TRY(const Reduction r, read(call));
  return Values{reduce(call.b(), ops::kReduceSum, r, r.attrs())};
}

Result<Values> maximum(const OperationCall& call) {
  EW_TRY(const Reduction r, read(call));
  return Values{reduce(call.b(), ops::kReduceMax, r, r.attrs())};
}

Result<Values> minimum(const OperationCall& call) {
  EW_TRY(Reduction r, read(call));
  Builder& b = call.b();
  if (!b.ok()) return Values{};
  const DType dtype = b.type(r.x).dtype;
  const DType wide = is_floating(dtype) ? dtype : DType::kF64;
  const ValueId negative = b.add(ops::kNeg, {cast(b, r.x, wide)});
  const ValueId most = b.add(ops::kReduceMax, {negative}, r.attrs());
  return Values{cast(b, b.add(ops::kNeg, {most}), dtype)};
}

Result<Reduction> read_floating(const OperationCall& call) {
  EW_TRY(Reduction r, read(call));
  if (call.b().ok() && !is_floating(call.b().type(r.x).dtype)) {
    r.x = cast(call.b(), r.x, DType::kF32);
  }
  return r;
}

Result<Values> mean(const OperationCall& call) {
  EW_TRY(const Reduction r, read_floating(call));
  return Values{call.b().add(ops::kReduceMean, {r.x}, r.attrs())};
}

ValueId variance_of(Builder& b, const Reduction& r) {
  const ValueId center = b.add(ops::kReduceMean, {r.x}, r.keeping());
  const ValueId squares = b.add(ops::kSquare, {b.add(ops::kSub, {r.x, center})});
  return b.add(ops::kReduceMean, {squares}, r.attrs());
}

Result<Values> variance(const OperationCall& call) {
  EW_TRY(const Reduction r, read_floating(call));
  return Values{variance_of(call.b(), r)};
}

Result<Values> deviation(const OperationCall& call) {
  EW_TRY(const Reduction r, read_floating(call));
  return Values{call.b().add(ops::kSqrt, {variance_of(call.b(), r)})};
}

Result<Values> log_sum_exp(const OperationCall& call) {
  EW_TRY(const Reduction r, read_floating(call));
  Builder& b = call.b();
  const ValueId most = b.add(ops::kReduceMax, {r.x}, r.keeping());
  const ValueId sum =
      b.add(ops::kReduceSum, {b.add(ops::kExp, {b.add(ops::kSub, {r.x, most})})}, r.attrs());
  return Values{
      b.add(ops::kAdd, {b.add(ops::kLog, {sum}), b.add(ops::kReduceMax, {r.x}, r.attrs())})};
}

template <bool is_any>
Result<Values> logical(const OperationCall& call) {
  EW_TRY(const Reduction r, read(call));
  Builder& b = call.b();
  const ValueId x = cast(b, r.x, DType::kBool);
  return Values{is_any ? any(b, x, r.axes, r.keepdims) : all(b, x, r.axes, r.keepdims)};
}

Result<Values> norm(const OperationCall& call) {
  EW_TRY(Reduction r, read_floating(call));
  const Config& order = call.argument(3, {"ord"});
  const bool is_euclidean = order.is_null() || order.as_string() == "fro" ||
                            order.as_string() == "euclidean" || order.as_double() == 2;
  if (!is_euclidean) return unsupported("a norm other than the Euclidean");
  Builder& b = call.b();
  const ValueId squares = b.add(ops::kSquare, {r.x});
  return Values{b.add(ops::kSqrt, {b.add(ops::kReduceSum, {squares}, r.attrs())})};
}

// x / |x|_2; TensorFlow bounds the square of the norm, Keras 3 the reciprocal of the norm.
Result<Values> normalize(const OperationCall& call) {
  EW_TRY(const ValueId x, call.tensor(0, {"x"}));
  EW_TRY(const std::vector<int64_t> axes, call.integers(1, {"axis"}, {-1}));
  EW_TRY(const int64_t order, call.integer(2, {"order"}, 2));
  if (order != 2) return unsupported("normalisation by a norm other than the Euclidean");
  Builder& b = call.b();
  if (!b.ok()) return Values{};
  const DType dtype = b.type(x).dtype;
  const ValueId sum =
      b.add(ops::kReduceSum, {b.add(ops::kSquare, {x})}, {{"axes", axes}, {"keepdims", true}});
  if (call.context().generation == ir::KerasGeneration::kKeras2) {
    EW_TRY(const double epsilon, call.number(3, {"epsilon"}, 1e-12));
    const ValueId bounded = b.add(ops::kMaximum, {sum, b.scalar(epsilon, dtype)});
    return Values{b.add(ops::kMul, {x, b.add(ops::kRsqrt, {bounded})})};
  }
  EW_TRY(const double epsilon, call.number(3, {"epsilon"}, 1e-7));
  const ValueId inverse = b.add(ops::kRsqrt, {sum});
  return Values{
      b.add(ops::kMul, {x, b.add(ops::kMinimum, {inverse, b.scalar(1 / epsilon, dtype)})})};
}

const Operation kOperations[] = {
    {"Sum", "math.reduce_sum", sum},
    {"Mean", "math.reduce_mean", mean},
    {"Max", "math.reduce_max", maximum},
    {"Amax", "", maximum},
    {"Min", "math.reduce_min", minimum},
    {"Amin", "", minimum},
    {"Var", "math.reduce_variance", variance},
    {"Std", "math.reduce_std", deviation},
    {"Logsumexp", "math.reduce_logsumexp", log_sum_exp},
    {"Any", "math.reduce_any", logical<true>},
    {"All", "math.reduce_all", logical<false>},
    {"Norm", "", norm},
    {"Normalize", "math.l2_normalize", normalize},
};

}  // namespace

std::span<const Operation> reduction_operations() { return kOperations; }

}  // namespace ew::formats
