#pragma once
// The graph section of an `.ew` file (docs/formats/ew.md). Internal to this folder.

#include <functional>
#include <vector>

#include "ir/ew/bytes.h"
#include "ir/ew/ew_file.h"
#include "ir/model.h"

namespace ew::ir::ew_format {

/// Elements lie in the data section at multiples of this.
inline constexpr size_t kAlignment = 64;

/// Appends a tensor's elements to the data section and returns their offset.
using PlaceData = std::function<uint64_t(const Tensor&)>;
/// The tensor of a type at an offset of the data section; checked.
using FindData = std::function<Result<Tensor>(TensorType type, uint64_t offset)>;

void put_type(ByteWriter& w, const TensorType& type);
void put_attrs(ByteWriter& w, const Attrs& attrs);
void put_model(ByteWriter& w, const Model& model, const PlaceData& place);

/// A graph that has passed verify(). Errors: kInvalidData; kUnsupported for an operator that this
/// build lacks; kResourceLimit.
Result<Model> get_model(ByteReader& r, const FindData& find, FindOp find_op);

}  // namespace ew::ir::ew_format
