// The table of CPU facets, made from ops.def.
#include "runtime/kernel.h"

#include "ops/selected.h"

namespace ew::ops {

#define EW_DECLARE_yes(name) \
  std::unique_ptr<runtime::Kernel> name##_cpu(const runtime::KernelContext& context);
#define EW_DECLARE_no(name)
#define EW_OP(name, Name, grad, cpu, ...) EW_DECLARE_##cpu(name)
#include EW_OPS_DEF
#undef EW_OP
/// Elementwise rows share one facet each (unary_cpu.cpp, binary_cpu.cpp); null
/// if the row has none.
runtime::PrepareFn find_elementwise_cpu(const OpDef& op);

}  // namespace ew::ops

namespace ew::runtime {
namespace {

struct Row {
  const ir::OpDef* op;
  PrepareFn prepare;
};

const Row kRows[] = {
#define EW_ROW_yes(name, Name) {&ops::k##Name, ops::name##_cpu},
#define EW_ROW_no(name, Name)
#define EW_OP(name, Name, grad, cpu, ...) EW_ROW_##cpu(name, Name)
#include EW_OPS_DEF
#undef EW_OP
    {nullptr, nullptr}};

}  // namespace

PrepareFn find_cpu([[maybe_unused]] const ir::OpDef& op) {
#ifdef EW_NO_FLOAT_KERNELS
  return nullptr;
#else
  for (const Row& row : kRows) {
    if (row.op == &op) return row.prepare;
  }
  return ops::find_elementwise_cpu(op);
#endif
}

}  // namespace ew::runtime
