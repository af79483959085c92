#pragma once
// The parameters of every Keras class that a call may name.

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ew::train {

struct CallSignature {
  std::string_view class_name;
  std::string_view parameters;  ///< in Keras' positional order, separated by blanks
};

std::span<const CallSignature> call_signatures();

/// The signature of a class in any spelling ("adam", "max_norm"); null if unknown.
const CallSignature* find_call_signature(std::string_view class_name);

}  // namespace ew::train
