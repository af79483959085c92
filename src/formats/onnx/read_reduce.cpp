// ONNX reductions and what is made of them.
#include "formats/onnx/handlers.h"
#include "formats/onnx/int8_forms.h"

namespace ew::formats::onnx {
namespace {

using Ids = std::vector<ValueId>;

// From opset `since` on, axes are an input.
void reduction(Call& c, int64_t since,
               const std::function<ValueId(ValueId, const std::vector<int64_t>&, bool)>& f) {
  const ValPtr value = c.val(0);
  if (!c.ok()) return;
  const std::optional<std::vector<int64_t>> axes = c.ints_or_input("axes", since - 1, 1);
  const bool keepdims = c.integer("keepdims", 1) != 0;
  if (!c.ok()) return;
  const bool no_axes = !axes || axes->empty();
  if (no_axes && c.integer("noop_with_empty_axes", 0) != 0) {
    return c.set(0, f(c.x(), {}, keepdims));
  }
  // Means over all spatial dimensions need not leave the channels-last layout.
  if (value->form[kPlain] == kNoValue && value->form[kLast] != kNoValue && keepdims && !no_axes) {
    const ValueId x = value->form[kLast];
    const int rank = c.rank(x);
    std::vector<int64_t> moved;
    for (const int64_t axis : *axes) {
      const int d = c.axis_of(axis, x);
      moved.push_back(d == 0 ? 0 : d == 1 ? rank - 1 : d - 1);
    }
    return c.set(0, f(x, moved, true), kLast);
  }
  const ValueId x = c.x();
  if (!c.ok()) return;
  std::vector<int64_t> all = no_axes ? std::vector<int64_t>() : *axes;
  if (no_axes) {
    for (int d = 0; d < c.rank(x); ++d) all.push_back(d);
  }
  c.set(0, f(x, all, keepdims));
}

ValueId unary(Call& c, const OpDef& op, ValueId x) { return c.emit(op, {x}); }

ValueId square(Call& c, ValueId x) { return c.mul(x, x); }

ValueId absolute(Call& c, ValueId x) {
  if (!c.ok() || is_floating(c.dtype(x))) return unary(c, ops::kAbs, x);
  return c.emit(ops::kMaximum, {x, c.sub(c.scalar_like(0, x), x)});
}

// As numbers with a fraction: the root or logarithm of an integer is rounded to one at the end.
template <typename F>
ValueId in_floating(Call& c, ValueId x, F f) {
  if (!c.ok()) return kNoValue;
  const DType own = c.dtype(x);
  if (is_floating(own)) return f(x);
  return c.cast(f(c.cast(x, DType::kF64)), own);
}

ValueId sum(Call& c, ValueId x, const std::vector<int64_t>& axes, bool keep) {
  return axes.empty() ? x : c.reduce("sum", x, axes, keep);
}

void plain(Call& c, const char* kind, int64_t since) {
  reduction(c, since, [&](ValueId x, const std::vector<int64_t>& axes, bool keep) {
    return axes.empty() ? x : c.reduce(kind, x, axes, keep);
  });
}

// Up to opset 12 the axis and all behind it are one.
template <typename F>
void along_axis(Call& c, F f) {
  const ValPtr value = c.val(0);
  if (!c.ok()) return;
  if (c.opset() >= 13) {
    const int64_t axis = c.integer("axis", -1);
    const bool is_last =
        value->form[kPlain] == kNoValue && value->form[kLast] != kNoValue && axis == 1;
    if (is_last) return c.set(0, f(value->form[kLast], int64_t{-1}), kLast);
    const ValueId x = c.x();
    return c.set(0, f(x, c.ok() ? int64_t{c.axis_of(axis, x)} : 0));
  }
  const ValueId x = c.x();
  if (!c.ok()) return;
  const Shape shape = c.shape(x);
  const int axis = c.axis_of(c.integer("axis", 1), x);
  if (!c.ok()) return;
  if (axis == shape.rank() - 1) return c.set(0, f(x, int64_t{axis}));
  if (!c.need_static(x, "the shape")) return;
  const ValueId flat = c.reshape(x, {shape.product(0, axis), shape.product(axis, shape.rank())});
  c.set(0, c.reshape(f(flat, int64_t{1}), shape.dims()));
}

void arg(Call& c, bool smallest) {
  const ValueId x = c.x();
  if (!c.ok()) return;
  const int axis = c.axis_of(c.integer("axis", 0), x);
  const ValueId y = c.emit(ops::kArgMax, {x},
                           {{"axis", int64_t{axis}},
                            {"smallest", smallest},
                            {"last", c.integer("select_last_index", 0) != 0}});
  if (c.integer("keepdims", 1) != 0 || !c.ok()) return c.set(0, y);
  std::vector<int64_t> target;
  const Shape shape = c.shape(y);
  for (int d = 0; d < shape.rank(); ++d) {
    if (d == axis) continue;
    const bool same_place = static_cast<int>(target.size()) == d;
    target.push_back(shape[d] != kUnknown ? shape[d] : same_place ? 0 : -2);
  }
  c.set(0, c.reshape(y, reshape_target(c, y, std::move(target))));
}

// re^2 + im^2 of a transform is one of its outputs; kNoValue for anything else.
ValueId power_of_transform(Call& c, ValueId x, const std::vector<int64_t>& axes, bool keep) {
  const ir::Node* node = c.ok() ? c.m().b().graph().producer(x) : nullptr;
  if (node == nullptr || node->op != &ops::kDft || node->attrs.text("output") != "complex") {
    return kNoValue;
  }
  const int last = c.rank(x) - 1;
  const bool is_over_pairs = axes.size() == 1 && (axes[0] == last || axes[0] == -1) && !keep;
  if (!is_over_pairs) return kNoValue;
  Attrs attrs = node->attrs;
  attrs.set("output", std::string("power"));
  return c.emit(ops::kDft, {node->inputs[0]}, std::move(attrs));
}

}  // namespace

void read_reduce_max(Call& c) { plain(c, "max", 18); }
void read_reduce_min(Call& c) { plain(c, "min", 18); }
void read_reduce_mean(Call& c) { plain(c, "mean", 18); }
void read_reduce_prod(Call& c) { plain(c, "prod", 18); }
void read_reduce_sum(Call& c) { plain(c, "sum", 13); }

void read_reduce_l1(Call& c) {
  reduction(c, 18, [&](ValueId x, const auto& axes, bool keep) {
    return sum(c, absolute(c, x), axes, keep);
  });
}

void read_reduce_l2(Call& c) {
  reduction(c, 18, [&](ValueId x, const auto& axes, bool keep) {
    return in_floating(c, sum(c, square(c, x), axes, keep),
                       [&](ValueId v) { return unary(c, ops::kSqrt, v); });
  });
}

void read_reduce_sum_square(Call& c) {
  reduction(c, 18, [&](ValueId x, const auto& axes, bool keep) {
    if (const ValueId power = power_of_transform(c, x, axes, keep); power != kNoValue) return power;
    return sum(c, square(c, x), axes, keep);
  });
}

void read_reduce_log_sum(Call& c) {
  reduction(c, 18, [&](ValueId x, const auto& axes, bool keep) {
    return in_floating(c, sum(c, x, axes, keep), [&](ValueId v) { return unary(c, ops::kLog, v); });
  });
}

void read_reduce_log_sum_exp(Call& c) {
  reduction(c, 18, [&](ValueId x, const auto& axes, bool keep) {
    return in_floating(c, x, [&](ValueId v) {
      if (axes.empty() || (c.ok() && c.shape(v).is_static() && c.shape(v).num_elements() == 0)) {
        return unary(c, ops::kLog, sum(c, unary(c, ops::kExp, v), axes, keep));
      }
      // Subtracting the maximum keeps exp() finite.
      const ValueId top = c.reduce("max", v, axes, true);
      const ValueId total = sum(c, unary(c, ops::kExp, c.sub(v, top)), axes, keep);
      return c.add(unary(c, ops::kLog, total), keep ? top : c.reduce("max", v, axes, false));
    });
  });
}

void read_arg_max(Call& c) { arg(c, false); }
void read_arg_min(Call& c) { arg(c, true); }

void read_softmax(Call& c) {
  if (read_int8_softmax(c)) return;
  along_axis(c,
             [&](ValueId x, int64_t axis) { return c.emit(ops::kSoftmax, {x}, {{"axis", axis}}); });
}

void read_log_softmax(Call& c) {
  along_axis(
      c, [&](ValueId x, int64_t axis) { return c.emit(ops::kLogSoftmax, {x}, {{"axis", axis}}); });
}

void read_hardmax(Call& c) {
  along_axis(c, [&](ValueId x, int64_t axis) {
    if (!c.need_static(x, "the shape")) return kNoValue;
    const int at = c.axis_of(axis, x);
    const ValueId top = c.emit(ops::kArgMax, {x}, {{"axis", int64_t{at}}});
    std::vector<int64_t> along(static_cast<size_t>(c.rank(x)), 1);
    along[static_cast<size_t>(at)] = c.shape(x)[at];
    const ValueId numbers = c.reshape(c.iota(c.shape(x)[at]), along);
    return c.cast(c.emit(ops::kEqual, {top, numbers}), c.dtype(x));
  });
}

}  // namespace ew::formats::onnx
