// Operators as ONNX nodes of opset 17.
#include <algorithm>
#include <limits>

#include "formats/onnx/exporter.h"
#include "formats/onnx/tensor_data.h"
#include "ops/hybrid.h"
#include "ops/int8.h"

namespace ew::formats::onnx {
namespace {

using ir::Node;
using Strings = std::vector<std::string>;

struct UnaryRow {
  const ir::OpDef* op;
  const char* name;
  const char* alpha;  ///< the attribute's name in ONNX, or null
  const char* beta;
};
const UnaryRow kUnary[] = {
    {&ops::kAbs, "Abs", nullptr, nullptr},
    {&ops::kAcos, "Acos", nullptr, nullptr},
    {&ops::kAcosh, "Acosh", nullptr, nullptr},
    {&ops::kAsin, "Asin", nullptr, nullptr},
    {&ops::kAsinh, "Asinh", nullptr, nullptr},
    {&ops::kAtan, "Atan", nullptr, nullptr},
    {&ops::kAtanh, "Atanh", nullptr, nullptr},
    {&ops::kCeil, "Ceil", nullptr, nullptr},
    {&ops::kCelu, "Celu", "alpha", nullptr},
    {&ops::kCos, "Cos", nullptr, nullptr},
    {&ops::kCosh, "Cosh", nullptr, nullptr},
    {&ops::kElu, "Elu", "alpha", nullptr},
    {&ops::kErf, "Erf", nullptr, nullptr},
    {&ops::kExp, "Exp", nullptr, nullptr},
    {&ops::kFloor, "Floor", nullptr, nullptr},
    {&ops::kHardSigmoid, "HardSigmoid", "alpha", "beta"},
    {&ops::kHardSilu, "HardSwish", nullptr, nullptr},
    {&ops::kLeakyRelu, "LeakyRelu", "alpha", nullptr},
    {&ops::kLog, "Log", nullptr, nullptr},
    {&ops::kNeg, "Neg", nullptr, nullptr},
    {&ops::kReciprocal, "Reciprocal", nullptr, nullptr},
    {&ops::kRelu, "Relu", nullptr, nullptr},
    {&ops::kRound, "Round", nullptr, nullptr},
    {&ops::kSelu, "Selu", nullptr, nullptr},
    {&ops::kSigmoid, "Sigmoid", nullptr, nullptr},
    {&ops::kSign, "Sign", nullptr, nullptr},
    {&ops::kSin, "Sin", nullptr, nullptr},
    {&ops::kSinh, "Sinh", nullptr, nullptr},
    {&ops::kSoftplus, "Softplus", nullptr, nullptr},
    {&ops::kSoftsign, "Softsign", nullptr, nullptr},
    {&ops::kSqrt, "Sqrt", nullptr, nullptr},
    {&ops::kTan, "Tan", nullptr, nullptr},
    {&ops::kTanh, "Tanh", nullptr, nullptr},
};

struct BinaryRow {
  const ir::OpDef* op;
  const char* name;
};
const BinaryRow kBinary[] = {
    {&ops::kAdd, "Add"},         {&ops::kSub, "Sub"},
    {&ops::kMul, "Mul"},         {&ops::kDiv, "Div"},
    {&ops::kMaximum, "Max"},     {&ops::kMinimum, "Min"},
    {&ops::kPow, "Pow"},         {&ops::kEqual, "Equal"},
    {&ops::kGreater, "Greater"}, {&ops::kGreaterEqual, "GreaterOrEqual"},
    {&ops::kLess, "Less"},       {&ops::kLessEqual, "LessOrEqual"},
    {&ops::kLogicalAnd, "And"},  {&ops::kLogicalOr, "Or"},
};

// The fused activation behind a product or sum.
std::string clamped(Exporter& e, const Node& node, std::string x) {
  if (!node.attrs.has("clamp_min") || !ops::int8::has_clamp(node.attrs)) return x;
  const double low = node.attrs.number("clamp_min");
  const double high = node.attrs.number("clamp_max");
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (low == 0 && high == kInfinity) return e.add("Relu", {x});
  return e.add("Clip", {x, e.number(std::max(low, -3.4e38), DType::kF32),
                        e.number(std::min(high, 3.4e38), DType::kF32)});
}

// Elementwise operators stay channels first where an operand is.
bool stays_first(Exporter& e, const Node& node) {
  const int rank = e.type(node.outputs[0]).shape.rank();
  bool any = false;
  for (const ValueId id : node.inputs) {
    const bool is_scalar = e.constant(id) != nullptr && e.type(id).shape.rank() == 0;
    if (is_scalar) continue;
    if (e.type(id).shape.rank() != rank) return false;
    const bool is_first = e.has_first(id) && !e.has_plain(id);
    if (!is_first && e.constant(id) == nullptr) return false;
    any = any || is_first;
  }
  return any && rank >= 3;
}

// Vectors [C] broadcast over channels: as [C, 1, ...] they do channels first.
bool stays_first_with_vectors(Exporter& e, const Node& node) {
  const int rank = e.type(node.outputs[0]).shape.rank();
  if (node.inputs.size() != 2 || rank < 3) return false;
  for (size_t i = 0; i < 2; ++i) {
    const ValueId x = node.inputs[i];
    const ValueId v = node.inputs[1 - i];
    const bool is_first = e.has_first(x) && !e.has_plain(x) && e.type(x).shape.rank() == rank;
    const Shape& s = e.type(v).shape;
    if (is_first && e.constant(v) != nullptr && s.rank() == 1 && e.type(v).dtype == DType::kF32 &&
        !e.type(v).quant) {
      return true;
    }
  }
  return false;
}

std::string operand(Exporter& e, const Node& node, ValueId id, bool is_first) {
  if (!is_first) return e.name(id);
  const int rank = e.type(node.outputs[0]).shape.rank();
  const Shape& s = e.type(id).shape;
  if (s.rank() == 1 && rank >= 3) {
    std::vector<int64_t> along(static_cast<size_t>(rank - 1), 1);
    along[0] = s[0];
    return e.initializer(e.constant(id)->reshaped(Shape(along)), e.graph().value(id).name);
  }
  return s.rank() == 0 ? e.name(id) : e.first(id);
}

bool export_unary(Exporter& e, const Node& node) {
  for (const UnaryRow& row : kUnary) {
    if (row.op != node.op) continue;
    ExportAttrs attrs;
    if (row.alpha != nullptr) attrs.emplace_back(row.alpha, node.attrs.number("alpha"));
    if (row.beta != nullptr) attrs.emplace_back(row.beta, node.attrs.number("beta"));
    const bool is_first = stays_first(e, node);
    e.set(node.outputs[0], e.add(row.name, {operand(e, node, node.inputs[0], is_first)}, attrs),
          is_first);
    return true;
  }
  return false;
}

// Functions that opset 17 lacks, in those it has.
bool export_composed(Exporter& e, const Node& node) {
  if (node.inputs.empty() || !node.attrs.has("alpha")) return false;
  const bool is_first = stays_first(e, node);
  const DType dtype = e.type(node.inputs[0]).quant ? DType::kF32 : e.type(node.inputs[0]).dtype;
  const auto n = [&](double v) { return e.number(v, dtype); };
  const double alpha = node.attrs.number("alpha");
  const ir::OpDef* op = node.op;
  const auto known = {&ops::kReluGeneral, &ops::kSparsePlus, &ops::kClip,       &ops::kGelu,
                      &ops::kGeluTanh,    &ops::kHardShrink, &ops::kLogSigmoid, &ops::kMish,
                      &ops::kPower,       &ops::kRelu6,      &ops::kRsqrt,      &ops::kSilu,
                      &ops::kSoftShrink,  &ops::kSquare,     &ops::kSquareplus, &ops::kTanhShrink,
                      &ops::kThreshold};
  if (std::find(known.begin(), known.end(), op) == known.end()) return false;
  const std::string x = operand(e, node, node.inputs[0], is_first);
  std::string y;
  if (op == &ops::kClip) y = e.add("Clip", {x, n(alpha), n(node.attrs.number("beta"))});
  if (op == &ops::kRelu6) y = e.add("Clip", {x, n(0), n(6)});
  if (op == &ops::kSilu) y = e.add("Mul", {x, e.add("Sigmoid", {x})});
  if (op == &ops::kMish) y = e.add("Mul", {x, e.add("Tanh", {e.add("Softplus", {x})})});
  if (op == &ops::kSquare) y = e.add("Mul", {x, x});
  if (op == &ops::kRsqrt) y = e.add("Reciprocal", {e.add("Sqrt", {x})});
  if (op == &ops::kPower) y = e.add("Pow", {x, n(alpha)});
  if (op == &ops::kHardShrink) y = e.add("Shrink", {x}, {{"lambd", alpha}, {"bias", 0.0}});
  if (op == &ops::kSoftShrink) y = e.add("Shrink", {x}, {{"lambd", alpha}, {"bias", alpha}});
  if (op == &ops::kTanhShrink) y = e.add("Sub", {x, e.add("Tanh", {x})});
  if (op == &ops::kLogSigmoid) y = e.add("Neg", {e.add("Softplus", {e.add("Neg", {x})})});
  if (op == &ops::kThreshold) {
    const std::string above = e.add("Greater", {x, n(alpha)});
    y = e.add("Where", {above, x, n(node.attrs.number("beta"))});
  }
  if (op == &ops::kReluGeneral) {
    const double slope = node.attrs.number("beta");
    const double threshold = node.attrs.number("gamma");
    const std::string high = alpha < 0 ? x : e.add("Min", {x, n(alpha)});
    const std::string low = e.add("Mul", {e.add("Sub", {x, n(threshold)}), n(slope)});
    y = e.add("Where", {e.add("LessOrEqual", {x, n(threshold)}), low, high});
  }
  if (op == &ops::kSparsePlus) {  // a parabola between -1 and 1
    const std::string part = e.add("Add", {e.add("Clip", {x, n(-1), n(1)}), n(1)});
    const std::string bend = e.add("Mul", {e.add("Mul", {part, part}), n(0.25)});
    y = e.add("Add", {bend, e.add("Relu", {e.add("Sub", {x, n(1)})})});
  }
  if (op == &ops::kSquareplus) {
    const std::string root = e.add("Sqrt", {e.add("Add", {e.add("Mul", {x, x}), n(alpha)})});
    y = e.add("Mul", {e.add("Add", {x, root}), n(0.5)});
  }
  if (op == &ops::kGelu) {
    const std::string erf = e.add("Erf", {e.add("Mul", {x, n(0.7071067811865476)})});
    y = e.add("Mul", {e.add("Mul", {x, n(0.5)}), e.add("Add", {erf, n(1)})});
  }
  if (op == &ops::kGeluTanh) {
    const std::string cube = e.add("Mul", {e.add("Mul", {x, x}), x});
    const std::string inner = e.add("Add", {x, e.add("Mul", {cube, n(0.044715)})});
    const std::string tanh = e.add("Tanh", {e.add("Mul", {inner, n(0.7978845608028654)})});
    y = e.add("Mul", {e.add("Mul", {x, n(0.5)}), e.add("Add", {tanh, n(1)})});
  }
  e.set(node.outputs[0], y, is_first);
  return true;
}

bool export_binary(Exporter& e, const Node& node) {
  const bool is_first = stays_first(e, node) || stays_first_with_vectors(e, node);
  const auto in = [&] {
    return Strings{operand(e, node, node.inputs[0], is_first),
                   operand(e, node, node.inputs[1], is_first)};
  };
  for (const BinaryRow& row : kBinary) {
    if (row.op != node.op) continue;
    e.set(node.outputs[0], clamped(e, node, e.add(row.name, in())), is_first);
    return true;
  }
  if (node.op == &ops::kNotEqual) {
    e.set(node.outputs[0], e.add("Not", {e.add("Equal", in())}), is_first);
    return true;
  }
  if (node.op == &ops::kWhere) {
    const Strings names{e.name(node.inputs[0]), e.name(node.inputs[1]), e.name(node.inputs[2])};
    e.set(node.outputs[0], e.add("Where", names));
    return true;
  }
  return false;
}

/// MatMulNBits of ONNX Runtime's own domain: [outputs, groups, bytes], values plus 8, the first of
/// two in the low half.
std::string grouped_product(Exporter& e, const Node& node) {
  const Tensor& w = *e.constant(node.inputs[1]);
  const ir::QuantParams& q = *w.type().quant;
  const int64_t rows = w.shape()[0];
  const int64_t columns = w.shape()[1];
  const int64_t group = ops::scale_group(w.type());
  const int64_t groups = ops::group_count(rows, group);
  const int64_t bytes = group / 2;
  Tensor packed(DType::kU8, Shape{columns, groups, bytes});
  Tensor scales(DType::kF32, Shape{columns * groups});
  const auto values = w.values<int8_t>();
  const auto out = packed.mutable_values<uint8_t>();
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t g = 0; g < groups; ++g) {
      scales.mutable_values<float>()[static_cast<size_t>(c * groups + g)] =
          q.scales[static_cast<size_t>(g * columns + c)];
      for (int64_t i = 0; i < 2 * bytes; ++i) {
        const int64_t row = g * group + i;
        const bool exists = row < rows;
        const int value = exists ? values[static_cast<size_t>(row * columns + c)] : 0;
        out[static_cast<size_t>((c * groups + g) * bytes + i / 2)] |=
            static_cast<uint8_t>((value + 8) << (i % 2 * 4));
      }
    }
  }
  const std::string& hint = e.graph().value(node.inputs[1]).name;
  return e.add("com.microsoft:MatMulNBits",
               {e.name(node.inputs[0]), e.initializer(packed, hint), e.initializer(scales, hint)},
               {{"K", rows},
                {"N", columns},
                {"bits", int64_t{4}},
                {"block_size", group},
                {"accuracy_level", int64_t{4}}});
}

bool is_grouped(const Exporter& e, ValueId w) {
  return ops::scale_group(e.type(w)) > 0 && e.constant(w) != nullptr;
}

bool export_product(Exporter& e, const Node& node) {
  const ValueId x = node.inputs[0];
  if (node.op == &ops::kDense && is_grouped(e, node.inputs[1])) {
    std::string y = grouped_product(e, node);
    if (node.inputs.size() > 2 && node.inputs[2] != kNoValue) {
      y = e.add("Add", {y, e.vector(node.inputs[2])});
    }
    e.set(node.outputs[0], clamped(e, node, y));
    return true;
  }
  if (node.op == &ops::kDense) {
    const Shape& w = e.type(node.inputs[1]).shape;
    const bool has_bias = node.inputs.size() > 2 && node.inputs[2] != kNoValue;
    Strings in{e.name(x), e.kernel(node.inputs[1], {0, 1}, w, 1)};
    std::string y;
    if (e.type(x).shape.rank() == 2) {
      if (has_bias) in.push_back(e.vector(node.inputs[2]));
      y = e.add("Gemm", in);
    } else {
      y = e.add("MatMul", in);
      if (has_bias) y = e.add("Add", {y, e.vector(node.inputs[2])});
    }
    e.set(node.outputs[0], clamped(e, node, y));
    return true;
  }
  if (node.op != &ops::kMatmul) return false;
  Strings in;
  for (size_t i = 0; i < 2; ++i) {
    std::string name = e.name(node.inputs[i]);
    if (node.attrs.flag(i == 0 ? "transpose_a" : "transpose_b")) {
      std::vector<int64_t> perm;
      for (int d = 0; d < e.type(node.inputs[i]).shape.rank(); ++d) perm.push_back(d);
      std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
      name = e.add("Transpose", {name}, {{"perm", perm}});
    }
    in.push_back(name);
  }
  e.set(node.outputs[0], e.add("MatMul", in));
  return true;
}

const char* reduction_name(const Node& node) {
  if (node.op == &ops::kReduceMean) return "ReduceMean";
  if (node.op == &ops::kReduceSum) return "ReduceSum";
  if (node.op == &ops::kReduceMax) return "ReduceMax";
  if (node.op != &ops::kReduce) return nullptr;
  const std::string& kind = node.attrs.text("kind");
  return kind == "sum"    ? "ReduceSum"
         : kind == "mean" ? "ReduceMean"
         : kind == "prod" ? "ReduceProd"
         : kind == "max"  ? "ReduceMax"
                          : "ReduceMin";
}

bool export_reduction(Exporter& e, const Node& node) {
  const ValueId x = node.inputs[0];
  const int rank = x == kNoValue ? 0 : e.type(x).shape.rank();
  const ValueId out = node.outputs[0];
  if (const char* name = reduction_name(node)) {
    std::vector<int64_t> axes = node.attrs.ints("axes");
    for (int64_t& axis : axes) axis = axis < 0 ? axis + rank : axis;
    if (axes.empty()) {
      for (int d = 0; d < rank; ++d) axes.push_back(d);
    }
    const bool keep = node.attrs.flag("keepdims");
    // Over all spatial dimensions nothing is left to transpose.
    const bool is_spatial = static_cast<int>(axes.size()) == rank - 2 &&
                            std::count(axes.begin(), axes.end(), 0) == 0 &&
                            std::count(axes.begin(), axes.end(), rank - 1) == 0;
    const bool is_first = is_spatial && e.has_first(x) && !e.has_plain(x);
    if (is_first) {
      for (int64_t& axis : axes) axis = first_axis(axis, rank);
    }
    const std::string in = is_first ? e.first(x) : e.name(x);
    const ExportAttr kept = int64_t{keep ? 1 : 0};
    const bool by_input = std::string_view(name) == "ReduceSum";
    const std::string y = by_input ? e.add(name, {in, e.ints(axes)}, {{"keepdims", kept}})
                                   : e.add(name, {in}, {{"axes", axes}, {"keepdims", kept}});
    e.set(out, y, is_first && keep);
    return true;
  }
  if (node.op == &ops::kSoftmax || node.op == &ops::kLogSoftmax) {
    const char* name = node.op == &ops::kSoftmax ? "Softmax" : "LogSoftmax";
    e.set(out, e.add(name, {e.name(x)}, {{"axis", node.attrs.integer("axis")}}));
    return true;
  }
  if (node.op == &ops::kArgMax) {
    e.set(out, e.add(node.attrs.flag("smallest") ? "ArgMin" : "ArgMax", {e.name(x)},
                     {{"axis", node.attrs.integer("axis")},
                      {"keepdims", int64_t{1}},
                      {"select_last_index", int64_t{node.attrs.flag("last") ? 1 : 0}}}));
    return true;
  }
  if (node.op == &ops::kCumsum) {
    e.set(out, e.add("CumSum", {e.name(x), e.ints({node.attrs.integer("axis")})},
                     {{"exclusive", int64_t{node.attrs.flag("exclusive") ? 1 : 0}},
                      {"reverse", int64_t{node.attrs.flag("reverse") ? 1 : 0}}}));
    return true;
  }
  if (node.op == &ops::kTopK) {
    const Strings y = e.add_multi("TopK", {e.name(x), e.ints({node.attrs.integer("k")})}, 2,
                                  {{"axis", node.attrs.integer("axis")},
                                   {"largest", int64_t{node.attrs.flag("smallest") ? 0 : 1}}});
    e.set(node.outputs[0], y[0]);
    e.set(node.outputs[1], y[1]);
    return true;
  }
  return false;
}

bool export_reshape(Exporter& e, const Node& node) {
  const ValueId x = node.inputs[0];
  const ValueId out = node.outputs[0];
  const Shape& shape = x == kNoValue ? Shape() : e.type(x).shape;
  if (node.op == &ops::kReshape) {
    e.set(out, e.add("Reshape", {e.name(x), e.ints(node.attrs.ints("shape"))}));
  } else if (node.op == &ops::kReshapeLike) {
    const auto leading = node.attrs.integer("leading");
    const std::string like = e.add("Shape", {e.name(node.inputs[1])});
    const std::string head = e.add("Slice", {like, e.ints({0}), e.ints({leading})});
    std::vector<int64_t> rest(shape.begin() + 1, shape.end());
    e.set(out, e.add("Reshape",
                     {e.name(x), e.add("Concat", {head, e.ints(rest)}, {{"axis", int64_t{0}}})}));
  } else if (node.op == &ops::kTranspose) {
    e.set(out, e.add("Transpose", {e.name(x)}, {{"perm", node.attrs.ints("perm")}}));
  } else if (node.op == &ops::kBroadcastTo) {
    e.set(out, e.add("Expand", {e.name(x), e.ints(node.attrs.ints("shape"))}));
  } else if (node.op == &ops::kConcat) {
    const int64_t rank = shape.rank();
    int64_t axis = node.attrs.integer("axis");
    axis = axis < 0 ? axis + rank : axis;
    const bool is_first = stays_first(e, node);
    Strings in;
    for (const ValueId id : node.inputs) in.push_back(is_first ? e.first(id) : e.name(id));
    if (is_first) axis = first_axis(axis, static_cast<int>(rank));
    e.set(out, e.add("Concat", in, {{"axis", axis}}), is_first);
  } else if (node.op == &ops::kCast) {
    e.set(out,
          e.add("Cast", {e.name(x)}, {{"to", static_cast<int64_t>(onnx_type(e.type(out).dtype))}}));
  } else if (node.op == &ops::kSlice) {
    const std::vector<int64_t>& begin = node.attrs.ints("begin");
    std::vector<int64_t> axes;
    for (size_t d = 0; d < begin.size(); ++d) axes.push_back(static_cast<int64_t>(d));
    std::vector<int64_t> strides = node.attrs.ints("strides");
    strides.resize(begin.size(), 1);
    e.set(out, e.add("Slice", {e.name(x), e.ints(begin), e.ints(node.attrs.ints("end")),
                               e.ints(axes), e.ints(strides)}));
  } else if (node.op == &ops::kRepeat) {
    // [.., n, ..] to [.., n, 1, ..], repeated, and back.
    int64_t axis = node.attrs.integer("axis");
    axis = axis < 0 ? axis + shape.rank() : axis;
    std::vector<int64_t> repeats(static_cast<size_t>(shape.rank()) + 1, 1);
    repeats[static_cast<size_t>(axis) + 1] = node.attrs.integer("repeats");
    std::vector<int64_t> target = e.type(out).shape.dims();
    if (std::count(target.begin(), target.end(), kUnknown) > 1) return false;
    const std::string wide = e.add("Unsqueeze", {e.name(x), e.ints({axis + 1})});
    e.set(out, e.add("Reshape", {e.add("Tile", {wide, e.ints(repeats)}), e.ints(target)}));
  } else {
    return false;
  }
  return true;
}

bool export_index(Exporter& e, const Node& node) {
  const ValueId out = node.outputs[0];
  if (node.op == &ops::kGather) {
    // The fraction of a floating id is dropped, as Cast does.
    const std::string ids = e.add("Cast", {e.name(node.inputs[1])}, {{"to", int64_t{7}}});
    e.set(out, e.add("Gather", {e.name(node.inputs[0]), ids}, {{"axis", int64_t{0}}}));
    return true;
  }
  if (node.op == &ops::kIota) {
    const std::string sizes = e.add("Shape", {e.name(node.inputs[0])});
    const int rank = e.type(node.inputs[0]).shape.rank();
    const int64_t axis = (node.attrs.integer("axis") + rank) % std::max(rank, 1);
    const std::string one =
        e.initializer(Tensor::from<int64_t>(std::vector<int64_t>{axis}, Shape{}), "axis");
    const std::string n = e.add("Gather", {sizes, one});
    const std::string range =
        e.add("Range", {e.number(0, DType::kI64), n, e.number(1, DType::kI64)});
    e.set(out,
          e.add("Cast", {range}, {{"to", static_cast<int64_t>(onnx_type(e.type(out).dtype))}}));
    return true;
  }
  if (node.op == &ops::kQuantize || node.op == &ops::kDequantize) {
    // The pair behind quantised values says it all.
    const bool is_first = stays_first(e, node);
    e.set(out, is_first ? e.first(node.inputs[0]) : e.name(node.inputs[0]), is_first);
    return true;
  }
  return false;
}

}  // namespace

bool export_node(Exporter& e, const Node& node) {
  return export_window_node(e, node) || export_product(e, node) || export_unary(e, node) ||
         export_binary(e, node) || export_composed(e, node) || export_reduction(e, node) ||
         export_reshape(e, node) || export_index(e, node) || export_recurrent_node(e, node) ||
         export_signal_node(e, node);
}

}  // namespace ew::formats::onnx
