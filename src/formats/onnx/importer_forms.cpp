// The forms of a value: file layout, channels last, int8.
#include <algorithm>
#include <optional>

#include "formats/onnx/importer.h"

namespace ew::formats::onnx {
namespace {

std::vector<int64_t> permutation(int rank, Layout to) {
  std::vector<int64_t> perm{0};
  if (to == kLast) {
    for (int d = 2; d < rank; ++d) perm.push_back(d);
    perm.push_back(1);
  } else {
    perm.push_back(rank - 1);
    for (int d = 1; d < rank - 1; ++d) perm.push_back(d);
  }
  return perm;
}

// Moving an axis of length 1, or over axes of length 1, leaves the elements where they are.
std::optional<std::vector<int64_t>> as_reshape(const Shape& shape,
                                               const std::vector<int64_t>& perm) {
  std::vector<int64_t> moved;
  std::vector<int64_t> target;
  for (size_t i = 0; i < perm.size(); ++i) {
    const int64_t size = shape[static_cast<int>(perm[i])];
    if (size == kUnknown && perm[i] != static_cast<int64_t>(i)) return std::nullopt;
    target.push_back(size == kUnknown ? 0 : size);
    if (size != 1) moved.push_back(perm[i]);
  }
  if (!std::is_sorted(moved.begin(), moved.end())) return std::nullopt;
  return target;
}

}  // namespace

ValueId Importer::typed_int8(ValueId id, const std::shared_ptr<const QuantParams>& params) {
  if (!ok()) return kNoValue;
  ir::TensorType& type = graph_.value(id).type;
  type.dtype = DType::kI8;
  type.quant = params;
  return id;
}

ValueId Importer::form(Val& value, Layout layout) {
  if (!ok()) return kNoValue;
  if (value.form[layout] != kNoValue) return value.form[layout];
  const auto other = static_cast<Layout>(1 - layout);
  if (value.form[other] == kNoValue) {
    const bool has_id =
        value.int8 && (value.int8->id[0] != kNoValue || value.int8->id[1] != kNoValue);
    if (value.int8 && !value.is_stored && (has_id || value.int8->make)) {
      const Layout from = has_id && value.int8->id[layout] == kNoValue ? other : layout;
      value.form[from] = builder_.add(ops::kDequantize, {int8_form(value, from)});
    } else if (value.make) {
      value.form[kPlain] = value.make();
    } else if (value.has_dims) {
      needs_shapes_ = true;
      return builder_.fail(unsupported("sizes are not known before the inputs' shapes are"));
    } else {
      return builder_.fail(
          unsupported("expected a tensor, found a ",
                      value.kind == Val::Kind::kSequence ? "sequence" : "missing value"));
    }
    if (value.form[layout] != kNoValue || !ok()) return value.form[layout];
  }
  const ValueId from = value.form[other];
  const Shape shape = builder_.shape(from);
  if (shape.rank() < 3) return value.form[layout] = from;
  const std::vector<int64_t> perm = permutation(shape.rank(), layout);
  if (const auto target = as_reshape(shape, perm)) {
    value.form[layout] = emit(ops::kReshape, {from}, {{"shape", *target}});
  } else {
    value.form[layout] = emit(ops::kTranspose, {from}, {{"perm", perm}});
  }
  return value.form[layout];
}

ValueId Importer::int8_form(Val& value, Layout layout) {
  Int8Form& q = *value.int8;
  if (!ok() || q.id[layout] != kNoValue) return q.id[layout];
  const auto other = static_cast<Layout>(1 - layout);
  if (q.id[other] != kNoValue) {
    const Shape shape = builder_.shape(q.id[other]);
    if (shape.rank() < 3) return q.id[layout] = q.id[other];
    const std::vector<int64_t> perm = permutation(shape.rank(), layout);
    const auto target = as_reshape(shape, perm);
    const ValueId id = target ? builder_.add(ops::kReshape, {q.id[other]}, {{"shape", *target}})
                              : builder_.add(ops::kTranspose, {q.id[other]}, {{"perm", perm}});
    return q.id[layout] = typed_int8(id, q.params);
  }
  if (q.make) return q.id[layout] = q.make(layout);
  return builder_.fail(make_error(ErrorCode::kInternal, "an int8 form without a source"));
}

}  // namespace ew::formats::onnx
