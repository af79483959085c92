#pragma once
// What Keras layers share when they become graph nodes.

#include <string_view>

#include "formats/keras/layer.h"

namespace ew::formats {

/// x with a dimension of size 1 put before dimension `axis` (negative: counted in the result).
ValueId expand_dims(ir::Builder& b, ValueId x, int64_t axis);
/// x without its dimension `axis`, which has size 1.
ValueId squeeze(ir::Builder& b, ValueId x, int64_t axis);
/// x with dimension d of the result being dimension perm[d]; x itself if that changes nothing.
ValueId transpose(ir::Builder& b, ValueId x, const std::vector<int64_t>& perm);
/// x[..., begin:end:stride, ...] along one axis, as Python slices.
ValueId slice_axis(ir::Builder& b, ValueId x, int axis, int64_t begin, int64_t end,
                   int64_t stride = 1);
/// x reversed along one axis.
ValueId reverse(ir::Builder& b, ValueId x, int axis);
/// The element `index` along an axis, without that dimension.
ValueId take(ir::Builder& b, ValueId x, int axis, int64_t index);
/// The inputs joined along a new dimension before `axis` of the result.
ValueId stack(ir::Builder& b, const std::vector<ValueId>& inputs, int64_t axis);
/// x repeated whole `count` times along an axis.
ValueId tile_axis(ir::Builder& b, ValueId x, int axis, int64_t count);
/// x as another dtype; x itself if it has it.
ValueId cast(ir::Builder& b, ValueId x, DType dtype);
/// Whether any (or all) elements of a bool tensor hold along `axes` (empty: all axes).
ValueId any(ir::Builder& b, ValueId x, const std::vector<int64_t>& axes, bool keepdims = false);
ValueId all(ir::Builder& b, ValueId x, const std::vector<int64_t>& axes, bool keepdims = false);
/// !x of a bool tensor.
ValueId logical_not(ir::Builder& b, ValueId x);
/// a && b where either may be absent (no restriction).
ValueId both(ir::Builder& b, ValueId x, ValueId y);
/// Slice bounds like Python's None: to the end, and (backwards) through element 0.
inline constexpr int64_t kSliceEnd = INT64_MAX;
inline constexpr int64_t kSliceThroughStart = INT64_MIN;

/// The two-operand or one-operand Einstein sum of an equation such as "abc,cd->abd", with "..." for
/// leading dimensions. Errors: kUnsupported for labels repeated within one operand.
ValueId einsum(ir::Builder& b, const std::string& equation, const std::vector<ValueId>& inputs);

/// The tensors passed under a keyword, in order.
std::vector<KerasTensor> keyword_tensors(const LayerContext& c, std::string_view name);
/// The first of them, or none.
KerasTensor keyword_tensor(const LayerContext& c, std::string_view name);
/// The mask that the layer's first input carries, or the one given as mask=.
ValueId input_mask(const LayerContext& c);
/// An activation's name as recurrent operators spell it, from a config entry. Error kUnsupported
/// for one that is no function of Keras.
Result<std::string> recurrent_activation_name(const Config& activation,
                                              ir::KerasGeneration generation);

}  // namespace ew::formats
