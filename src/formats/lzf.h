#pragma once
// LZF, the compression of h5py's own HDF5 filter (id 32000): Marc Lehmann's LibLZF format.

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace ew::formats {

/// Unpacks all of `packed`. Error kInvalidData if it is cut off or refers to bytes before its
/// start; kResourceLimit above `max_bytes`.
Result<std::vector<uint8_t>> lzf_unpack(std::span<const uint8_t> packed, size_t max_bytes);

}  // namespace ew::formats
