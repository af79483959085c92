#pragma once
// CPU kernels of simple_rnn, lstm and gru at inference (ops/recurrent.h): products of many steps
// with the kernel at once, then one product with the recurrent kernel per step. Null where the
// reference has to do: dtypes other than float32, what a gradient needs (`save`), recurrent
// dropout, and activations without a micro-kernel.

#include "ops/recurrent.h"
#include "runtime/kernel.h"

namespace ew::runtime {

std::unique_ptr<Kernel> recurrent_kernel(const KernelContext& c, const ops::RecurrentKind& kind);

}  // namespace ew::runtime
