// Losses that ONNX has as operators.
#include <algorithm>

#include "formats/onnx/handlers.h"

namespace ew::formats::onnx {
namespace {

// -weight[t] * x[n, t, ...] at the targets t, reduced; classes on axis 1.
void negative_log_likelihood(Call& c, ValueId x, size_t target_at, size_t weight_at) {
  const ValueId target = c.x(target_at);
  if (!c.need_static(x, "the shape")) return;
  const Shape shape = c.shape(x);
  if (shape.rank() < 2 || c.rank(target) != shape.rank() - 1) {
    c.fail("targets ", c.shape(target), " do not fit ", shape);
    return;
  }
  const int64_t classes = shape[1];
  std::vector<int64_t> along(static_cast<size_t>(shape.rank()), 1);
  along[1] = classes;
  const ValueId numbers = c.reshape(c.iota(classes), along);
  const ValueId wide = c.cast(target, DType::kI64);
  const ValueId hit = c.emit(ops::kEqual, {c.unsqueeze(wide, {1}), numbers});
  const ValueId zero = c.scalar_like(0, x);
  const ValueId picked = c.reduce("sum", c.emit(ops::kWhere, {hit, x, zero}), {1}, false);
  ValueId weights = kNoValue;
  if (c.has(weight_at)) {
    const ValueId given = c.reshape(c.x(weight_at), along);
    weights = c.reduce("sum", c.emit(ops::kWhere, {hit, given, zero}), {1}, false);
  }
  if (c.attribute("ignore_index") != nullptr) {
    const auto ignored = static_cast<double>(c.integer("ignore_index", 0));
    const ValueId counts = c.emit(ops::kNotEqual, {wide, c.scalar(ignored, DType::kI64)});
    const ValueId one = weights == kNoValue ? c.scalar_like(1, x) : weights;
    weights = c.emit(ops::kWhere, {counts, one, zero});
  }
  ValueId loss = c.emit(ops::kNeg, {picked});
  if (weights != kNoValue) loss = c.mul(loss, weights);
  const std::string reduction = c.text("reduction", "mean");
  if (reduction == "sum") loss = c.reduce("sum", loss, {}, false);
  if (reduction == "mean") {
    loss = weights == kNoValue
               ? c.reduce("mean", loss, {}, false)
               : c.div(c.reduce("sum", loss, {}, false), c.reduce("sum", weights, {}, false));
  }
  c.set(0, loss);
}

}  // namespace

void read_nll_loss(Call& c) { negative_log_likelihood(c, c.x(0), 1, 2); }

void read_softmax_cross_entropy_loss(Call& c) {
  const ValueId log = c.emit(ops::kLogSoftmax, {c.x(0)}, {{"axis", int64_t{1}}});
  negative_log_likelihood(c, log, 1, 2);
  c.set(1, log);
}

}  // namespace ew::formats::onnx
