#include "formats/keras/lowering.h"

namespace ew::formats {

using ir::Builder;

ValueId expand_dims(Builder& b, ValueId x, int64_t axis) {
  if (!b.ok()) return kNoValue;
  const Shape& from = b.shape(x);
  const Result<int> at = normalize_axis(axis, from.rank() + 1);
  if (!at.ok()) return b.fail(at.error());
  // 0 copies a dimension in its place; behind the new one sizes are spelt out, one may be open.
  std::vector<int64_t> to(static_cast<size_t>(*at), 0);
  to.push_back(1);
  for (int d = *at; d < from.rank(); ++d) to.push_back(from[d]);
  return b.add(ops::kReshape, {x}, {{"shape", std::move(to)}});
}

ValueId squeeze(Builder& b, ValueId x, int64_t axis) {
  if (!b.ok()) return kNoValue;
  const Shape& from = b.shape(x);
  const Result<int> at = normalize_axis(axis, from.rank());
  if (!at.ok()) return b.fail(at.error());
  if (from[*at] != 1) {
    return b.fail(invalid_data("dimension ", *at, " of ", from, " has not size 1"));
  }
  std::vector<int64_t> to(static_cast<size_t>(*at), 0);
  for (int d = *at + 1; d < from.rank(); ++d) to.push_back(from[d]);
  return b.add(ops::kReshape, {x}, {{"shape", std::move(to)}});
}

ValueId transpose(Builder& b, ValueId x, const std::vector<int64_t>& perm) {
  bool is_identity = true;
  for (size_t d = 0; d < perm.size(); ++d) {
    is_identity = is_identity && perm[d] == static_cast<int64_t>(d);
  }
  return is_identity ? x : b.add(ops::kTranspose, {x}, {{"perm", perm}});
}

ValueId slice_axis(Builder& b, ValueId x, int axis, int64_t begin, int64_t end, int64_t stride) {
  if (!b.ok()) return kNoValue;
  const Result<int> checked = normalize_axis(axis, b.shape(x).rank());
  if (!checked.ok()) return b.fail(checked.error());
  const auto at = static_cast<size_t>(*checked);
  std::vector<int64_t> begins(at + 1, 0);
  std::vector<int64_t> ends(at + 1, kSliceEnd);
  std::vector<int64_t> strides(at + 1, 1);
  begins[at] = begin;
  ends[at] = end;
  strides[at] = stride;
  return b.add(ops::kSlice, {x}, {{"begin", begins}, {"end", ends}, {"strides", strides}});
}

ValueId reverse(Builder& b, ValueId x, int axis) {
  return slice_axis(b, x, axis, -1, kSliceThroughStart, -1);
}

ValueId take(Builder& b, ValueId x, int axis, int64_t index) {
  return squeeze(b, slice_axis(b, x, axis, index, index == -1 ? kSliceEnd : index + 1), axis);
}

ValueId stack(Builder& b, const std::vector<ValueId>& inputs, int64_t axis) {
  std::vector<ValueId> parts;
  for (const ValueId x : inputs) parts.push_back(expand_dims(b, x, axis));
  return b.add(ops::kConcat, parts, {{"axis", axis}});
}

ValueId tile_axis(Builder& b, ValueId x, int axis, int64_t count) {
  if (count == 1) return x;
  constexpr int64_t kMost = 4096;  // one node input per copy
  if (count < 1 || count > kMost) {
    return b.fail(unsupported("cannot repeat a tensor ", count, " times"));
  }
  return b.add(ops::kConcat, std::vector<ValueId>(static_cast<size_t>(count), x),
               {{"axis", int64_t{axis}}});
}

ValueId cast(Builder& b, ValueId x, DType dtype) {
  if (x == kNoValue || b.type(x).dtype == dtype) return x;
  return b.add(ops::kCast, {x}, {{"to", std::string(dtype_name(dtype))}});
}

ValueId any(Builder& b, ValueId x, const std::vector<int64_t>& axes, bool keepdims) {
  const ValueId most =
      b.add(ops::kReduceMax, {cast(b, x, DType::kF32)}, {{"axes", axes}, {"keepdims", keepdims}});
  return b.add(ops::kGreater, {most, b.scalar(0)});
}

ValueId all(Builder& b, ValueId x, const std::vector<int64_t>& axes, bool keepdims) {
  return logical_not(b, any(b, logical_not(b, x), axes, keepdims));
}

ValueId logical_not(Builder& b, ValueId x) {
  return b.add(ops::kEqual, {x, b.scalar(0, DType::kBool)});
}

ValueId both(Builder& b, ValueId x, ValueId y) {
  if (x == kNoValue) return y;
  return y == kNoValue ? x : b.add(ops::kLogicalAnd, {x, y});
}

std::vector<KerasTensor> keyword_tensors(const LayerContext& c, std::string_view name) {
  std::vector<KerasTensor> found;
  for (const auto& [key, tensor] : c.keyword_tensors) {
    if (key == name) found.push_back(tensor);
  }
  return found;
}

KerasTensor keyword_tensor(const LayerContext& c, std::string_view name) {
  const std::vector<KerasTensor> found = keyword_tensors(c, name);
  return found.empty() ? KerasTensor{} : found[0];
}

ValueId input_mask(const LayerContext& c) {
  const ValueId given = keyword_tensor(c, "mask").value;
  if (given != kNoValue) return cast(c.b, given, DType::kBool);
  return c.inputs.empty() ? kNoValue : c.inputs[0].mask;
}

Result<std::string> recurrent_activation_name(const Config& activation,
                                              ir::KerasGeneration generation) {
  if (activation.is_null()) return std::string("linear");
  if (activation.is_map() && activation["class_name"].as_string() == "function") {
    return recurrent_activation_name(activation["config"], generation);
  }
  if (!activation.is_string()) {
    return unsupported("a recurrent layer cannot use the activation ",
                       activation["class_name"].as_string());
  }
  const std::string& name = activation.as_string();
  if (name == "hard_sigmoid" && generation == ir::KerasGeneration::kKeras2) {
    return std::string("hard_sigmoid_k2");
  }
  if (name == "swish") return std::string("silu");
  return name;
}

}  // namespace ew::formats
