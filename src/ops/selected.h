#pragma once
// Which operators a build has: all, or with -DEW_OPS=list those of the list. CMake then writes the
// rows that stay into files of their own; what nothing refers to any more, the linker leaves out.

#include <string_view>

#ifdef EW_OPS
#define EW_OPS_DEF "selected/ops.def"
#define EW_UNARY_DEF "selected/unary.def"
#define EW_BINARY_DEF "selected/binary.def"
#else
#define EW_OPS_DEF "ops/ops.def"
#define EW_UNARY_DEF "ops/unary/unary.def"
#define EW_BINARY_DEF "ops/binary/binary.def"
#endif

namespace ew::ops {

/// Whether this build has the operator of that name.
constexpr bool is_selected([[maybe_unused]] std::string_view name) {
#ifdef EW_OPS
  constexpr std::string_view kList = "," EW_OPS ",";
  for (size_t at = kList.find(name); at != kList.npos; at = kList.find(name, at + 1)) {
    if (kList[at - 1] == ',' && kList[at + name.size()] == ',') return true;
  }
  return false;
#else
  return true;
#endif
}

}  // namespace ew::ops

/// The address of an operator, null if the build lacks it: then nothing refers to it.
#define EW_IF_SELECTED(name, Name)                 \
  ([]() -> const ::ew::ir::OpDef* {                \
    if constexpr (::ew::ops::is_selected(#name)) { \
      return &::ew::ops::k##Name;                  \
    } else {                                       \
      return nullptr;                              \
    }                                              \
  }())
