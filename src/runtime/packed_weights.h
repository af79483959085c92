#pragma once
// Weights in a kernel's own layout. Where all of them are exact in a 16-bit float type, as in files
// with half-precision weights, they stay in it: half the memory, and never another result.

#include <memory>

#include "ir/tensor.h"
#include "runtime/cpu_facet.h"

namespace ew::runtime {

/// What a packed block holds. Files have these numbers: a kernel that packs in
/// another way needs a new one.
enum class PackedKind : uint8_t {
  kFloats = 1,
  kF16 = 2,
  kBF16 = 3,
  kWords = 4,  ///< int8 weights for float inputs (kernels/hybrid.h): without VNNI
  kWordNibbles = 5,
  kBytes = 6,  ///< with VNNI
  kByteNibbles = 7,
};

/// The layout of a block for the kernels of `target`.
std::array<uint8_t, 2> packed_layout(PackedKind kind, kernels::CpuTarget target);
/// The bytes that a file has for this node, if they have this layout and size;
/// else none.
std::unique_ptr<const ir::Buffer> take_packed(const KernelContext& c, std::array<uint8_t, 2> layout,
                                              size_t bytes);

class PackedWeights {
 public:
  PackedWeights() = default;
  /// `fill` writes `bytes` bytes of floats.
  template <typename Fill>
  PackedWeights(size_t bytes, const Fill& fill)
      : count_(static_cast<int64_t>(bytes / sizeof(float))) {
    pack(fill);
  }
  /// The same for the kernels of `table`, if the file has none.
  template <typename Fill>
  PackedWeights(const KernelContext& c, const kernels::KernelTable& table, size_t bytes,
                const Fill& fill)
      : count_(static_cast<int64_t>(bytes / sizeof(float))), target_(target_of(table)) {
    if (!take(c)) pack(fill);
  }

  bool is_half() const { return halves_ != nullptr; }
  /// As they are.
  kernels::PackedB view() const {
    if (is_half()) {
      return {.halves = static_cast<const uint16_t*>(halves_->data()), .type = type_};
    }
    return {.floats = static_cast<const float*>(floats_->data())};
  }
  PackedBlock block() const;

  /// The floats, widened into the start of `workspace` if need be.
  const float* floats(void* workspace, ThreadPool* pool) const;
  size_t workspace_bytes() const {
    return is_half() ? aligned(static_cast<size_t>(count_) * sizeof(float)) : 0;
  }

 private:
  template <typename Fill>
  void pack(const Fill& fill) {
    auto floats = std::make_unique<ir::Buffer>(static_cast<size_t>(count_) * sizeof(float));
    fill(static_cast<float*>(floats->data()));
    floats_ = std::move(floats);
    narrow_if_exact();
  }
  bool take(const KernelContext& c);
  void narrow_if_exact();

  std::unique_ptr<const ir::Buffer> floats_;
  std::unique_ptr<const ir::Buffer> halves_;  // instead of the floats
  int64_t count_ = 0;
  kernels::HalfType type_ = kernels::HalfType::kF16;
  kernels::CpuTarget target_ = kernels::CpuTarget::kPortable;
};

}  // namespace ew::runtime
