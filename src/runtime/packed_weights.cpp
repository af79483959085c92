#include "runtime/packed_weights.h"

namespace ew::runtime {

void PackedWeights::narrow_if_exact() {
  // Of small layers the conversion would cost more than the memory is worth.
  constexpr int64_t kLeast = 4096;
  const kernels::HalvesTable& k = cpu().halves;
  const auto* floats = static_cast<const float*>(floats_->data());
  if (count_ < kLeast || !k.find_exact(count_, floats, type_)) return;
  is_half_ = true;
  halves_ = std::make_unique<ir::Buffer>(static_cast<size_t>(count_) * sizeof(uint16_t));
  k.narrow(count_, floats, type_, static_cast<uint16_t*>(halves_->data()));
  floats_.reset();
}

const float* PackedWeights::floats(void* workspace, ThreadPool* pool) const {
  if (!is_half_) return static_cast<const float*>(floats_->data());
  auto* out = static_cast<float*>(workspace);
  cpu().halves.widen(count_, halves(), type_, out, pool);
  return out;
}

}  // namespace ew::runtime
