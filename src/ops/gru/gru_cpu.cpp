#include "runtime/recurrent_kernel.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> gru_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> gru_cpu(const runtime::KernelContext& c) {
  return runtime::recurrent_kernel(c, kGruKind);
}

}  // namespace ew::ops
