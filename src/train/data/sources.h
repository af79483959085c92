#pragma once
// Helpers that the sources of all formats share.

#include "train/data/dataset.h"

namespace ew::train {

/// Gives `tensor` this type, keeping its storage if the size fits, and returns its elements, whose
/// contents are unspecified.
void* prepare_tensor(Tensor& tensor, DType dtype, const Shape& shape);

/// `sample` with `rows` put before it, and the reverse.
Shape batch_shape(int64_t rows, const Shape& sample);
Shape sample_shape(const Shape& batch);

/// Error kInvalidArgument if a row is outside [0, size).
Status check_rows(std::span<const int64_t> rows, int64_t size);

/// Rows of `stored` as i32 (integers and bool) or f32 into `target`.
void gather_rows(ir::ConstTensorView stored, std::span<const int64_t> rows, Tensor& target,
                 DType dtype);

/// Rows that lie in somebody's memory, which `data` keeps alive and nobody changes; null for none.
struct SharedRows {
  ir::TensorType type;
  std::shared_ptr<const void> data;

  operator ir::ConstTensorView() const { return {&type, data.get()}; }  // NOLINT: implicit
};

/// As array_source() of a Split, without a copy of the rows.
Result<SourcePtr> array_source(std::vector<SharedRows> x, std::vector<SharedRows> y,
                               SharedRows weights);

/// i32 for integers and bool, f32 for floats: how targets of this dtype are read.
DType target_dtype(DType stored);

/// Labels or values of lazily decoded sources: y is one tensor [N, ...] in memory.
void read_targets(const std::vector<Tensor>& y, std::span<const int64_t> rows, Split& out);

}  // namespace ew::train
