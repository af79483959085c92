#pragma once
// Weights in a kernel's own layout. Where all of them are exact in a 16-bit float type, as in files
// with half-precision weights, they stay in it: half the memory, and never another result.

#include <memory>

#include "ir/tensor.h"
#include "runtime/cpu_facet.h"

namespace ew::runtime {

class PackedWeights {
 public:
  PackedWeights() = default;
  /// `fill` writes `bytes` bytes of floats.
  template <typename Fill>
  PackedWeights(size_t bytes, const Fill& fill) : floats_(std::make_unique<ir::Buffer>(bytes)) {
    fill(static_cast<float*>(floats_->data()));
    count_ = static_cast<int64_t>(bytes / sizeof(float));
    narrow_if_exact();
  }

  bool is_half() const { return is_half_; }
  kernels::HalfType type() const { return type_; }
  const uint16_t* halves() const { return static_cast<const uint16_t*>(halves_->data()); }

  /// The floats, widened into the start of `workspace` if need be.
  const float* floats(void* workspace, ThreadPool* pool) const;
  size_t workspace_bytes() const {
    return is_half_ ? aligned(static_cast<size_t>(count_) * sizeof(float)) : 0;
  }

 private:
  void narrow_if_exact();

  std::unique_ptr<ir::Buffer> floats_;
  std::unique_ptr<ir::Buffer> halves_;
  int64_t count_ = 0;
  bool is_half_ = false;
  kernels::HalfType type_ = kernels::HalfType::kF16;
};

}  // namespace ew::runtime
