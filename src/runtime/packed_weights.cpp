#include "runtime/packed_weights.h"

#include <algorithm>

namespace ew::runtime {

using kernels::HalfType;

std::array<uint8_t, 2> packed_layout(PackedKind kind, kernels::CpuTarget target) {
  return {static_cast<uint8_t>(kind), static_cast<uint8_t>(target)};
}

std::unique_ptr<const ir::Buffer> take_packed(const KernelContext& c, std::array<uint8_t, 2> layout,
                                              size_t bytes) {
  if (c.packed == nullptr || !std::ranges::equal(c.packed->facts, layout)) return nullptr;
  if (c.packed->block.size() != bytes) return nullptr;
  return std::make_unique<const ir::Buffer>(c.packed->block.data(), bytes, c.packed_owner);
}

bool PackedWeights::take(const KernelContext& c) {
  const auto count = static_cast<size_t>(count_);
  floats_ = take_packed(c, packed_layout(PackedKind::kFloats, target_), count * sizeof(float));
  if (floats_) return true;
  for (const HalfType type : {HalfType::kF16, HalfType::kBF16}) {
    const PackedKind kind = type == HalfType::kF16 ? PackedKind::kF16 : PackedKind::kBF16;
    halves_ = take_packed(c, packed_layout(kind, target_), count * sizeof(uint16_t));
    type_ = type;
    if (halves_) return true;
  }
  return false;
}

PackedBlock PackedWeights::block() const {
  const ir::Buffer& bytes = is_half() ? *halves_ : *floats_;
  PackedKind kind = PackedKind::kFloats;
  if (is_half()) kind = type_ == HalfType::kF16 ? PackedKind::kF16 : PackedKind::kBF16;
  return {.layout = packed_layout(kind, target_),
          .bytes = {static_cast<const uint8_t*>(bytes.data()), bytes.size()},
          .is_from_file = bytes.owner() != nullptr};
}

void PackedWeights::narrow_if_exact() {
  // Of small layers the conversion would cost more than the memory is worth.
  constexpr int64_t kLeast = 4096;
  const kernels::HalvesTable& k = cpu().halves;
  const auto* floats = static_cast<const float*>(floats_->data());
  if (count_ < kLeast || !k.find_exact(count_, floats, type_)) return;
  auto halves = std::make_unique<ir::Buffer>(static_cast<size_t>(count_) * sizeof(uint16_t));
  k.narrow(count_, floats, type_, static_cast<uint16_t*>(halves->data()));
  halves_ = std::move(halves);
  floats_.reset();
}

const float* PackedWeights::floats(void* workspace, ThreadPool* pool) const {
  if (!is_half()) return static_cast<const float*>(floats_->data());
  auto* out = static_cast<float*>(workspace);
  cpu().halves.widen(count_, view().halves, type_, out, pool);
  return out;
}

}  // namespace ew::runtime
