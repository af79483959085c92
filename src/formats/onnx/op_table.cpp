#include "formats/onnx/handlers.h"

namespace ew::formats::onnx {
namespace {

#define EW_ONNX(Name, handler)
#define EW_ONNX_UNARY(Name, Op) \
  void unary_##Name(Call& c) { c.elementwise(ops::k##Op, 1); }
#define EW_ONNX_BINARY(Name, Op) \
  void binary_##Name(Call& c) { c.elementwise(ops::k##Op, 2); }
#include "formats/onnx/onnx_ops.def"
#undef EW_ONNX
#undef EW_ONNX_UNARY
#undef EW_ONNX_BINARY

struct Row {
  std::string_view name;
  Handler handler;
};

constexpr Row kRows[] = {
#define EW_ONNX(Name, handler) {#Name, read_##handler},
#define EW_ONNX_UNARY(Name, Op) {#Name, unary_##Name},
#define EW_ONNX_BINARY(Name, Op) {#Name, binary_##Name},
#include "formats/onnx/onnx_ops.def"
#undef EW_ONNX
#undef EW_ONNX_UNARY
#undef EW_ONNX_BINARY
};

constexpr Row kRuntimeRows[] = {
#define EW_ONNX_RUNTIME(Name, handler) {#Name, read_##handler},
#include "formats/onnx/runtime_ops.def"
#undef EW_ONNX_RUNTIME
};

}  // namespace

Handler find_handler(std::string_view domain, std::string_view op_type) {
  if (!domain.empty() && domain != "com.microsoft") return nullptr;
  const std::span<const Row> rows =
      domain.empty() ? std::span<const Row>(kRows) : std::span<const Row>(kRuntimeRows);
  for (const Row& row : rows) {
    if (row.name == op_type) return row.handler;
  }
  return nullptr;
}

}  // namespace ew::formats::onnx
