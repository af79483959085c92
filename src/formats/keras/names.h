#pragma once
// Small translations of Keras' spelling: container names of `.keras` files and dtype policies.

#include <string>
#include <string_view>

#include "base/config.h"
#include "base/dtype.h"

namespace ew::formats {

/// "Conv2DTranspose" as "conv2d_transpose": how `.keras` files name the layers of a container.
std::string to_snake_case(std::string_view class_name);

/// Variables are kept in `variable`, layers compute in `compute` ("mixed_float16").
struct DTypePolicy {
  DType variable = DType::kF32;
  DType compute = DType::kF32;
};

/// A layer's "dtype" as any generation writes it: null, a name, or {"class_name", "config"}.
/// Errors: kUnsupported for quantised policies, kInvalidData for anything else.
Result<DTypePolicy> parse_dtype_policy(const Config& dtype);

}  // namespace ew::formats
