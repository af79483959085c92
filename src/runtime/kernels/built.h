#pragma once
// What a build has kernels for: all instruction sets that its compiler knows, or with -DEW_CPU=name
// only that one; all operators, or with -DEW_OPS=list only those of the list.

#include <initializer_list>
#include <string_view>

#include "ops/selected.h"
#include "runtime/kernels/cpu.h"

namespace ew::kernels {

constexpr bool is_only([[maybe_unused]] CpuTarget target) {
#ifdef EW_CPU
  return target == CpuTarget::EW_CPU;
#else
  return false;
#endif
}

constexpr bool is_built([[maybe_unused]] CpuTarget target) {
#ifdef EW_CPU
  return is_only(target);
#else
  return true;
#endif
}

/// For kernels that only a build with all operators has.
inline constexpr std::string_view kEveryOperator = "*";

constexpr bool is_any_selected(std::initializer_list<std::string_view> operators) {
  for (const std::string_view name : operators) {
    if (ops::is_selected(name)) return true;
  }
  return false;
}

/// A kernel for a table: null in a build that has none of the operators that call it, so that the
/// linker leaves it out.
template <typename F>
constexpr F* kernel_of(std::initializer_list<std::string_view> operators, F* function) {
  return is_any_selected(operators) ? function : nullptr;
}

}  // namespace ew::kernels
