#pragma once
// What a runtime has derived from a graph for one CPU target, so that opening a file need not
// derive it again. Files carry it; only the runtime that filled it looks inside.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ew::ir {

/// Of some nodes that run together.
struct PackedPart {
  int32_t node = 0;     ///< the first of them
  uint32_t digest = 0;  ///< of everything it was derived from except the weights
  std::span<const uint8_t> facts;
  /// Aligned to 64, with kPackedSlack readable bytes behind it.
  std::span<const uint8_t> block;
};

inline constexpr size_t kPackedSlack = 64;

struct PackedSection {
  std::string target;    ///< the kernels that read it: "avx512-vnni"
  uint32_t version = 0;  ///< of their layout
  std::vector<PackedPart> parts;
  /// Keeps the memory of the parts. The weights that they were derived from belong to the same
  /// owner; a weight that does not has been changed.
  std::shared_ptr<const void> owner;
};

}  // namespace ew::ir
