#pragma once
// IDX, the format of MNIST (yann.lecun.com/exdb/mnist): two zero bytes, a type code, the rank, then
// the dimensions and the elements, all big-endian.

#include <span>
#include <string>

#include "ir/tensor.h"

namespace ew::train {

/// Errors: kInvalidData (no IDX; fewer or more bytes than the header says); kResourceLimit.
Result<ir::Tensor> parse_idx(std::span<const uint8_t> bytes);

/// A file, plain or gzip. Messages begin with its path.
Result<ir::Tensor> read_idx(const std::string& path, int64_t max_bytes);

}  // namespace ew::train
