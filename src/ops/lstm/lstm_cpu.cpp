#include "runtime/recurrent_kernel.h"

namespace ew::ops {

std::unique_ptr<runtime::Kernel> lstm_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> lstm_cpu(const runtime::KernelContext& c) {
  return runtime::recurrent_kernel(c, kLstmKind);
}

}  // namespace ew::ops
