#pragma once
// Kernels of signal operators. Their loops are plain C++ that the compiler turns into the target's
// vectors; they use no fused multiplication, so every target gives the same bits.

#include "ops/signal/fft_impl.h"
#include "runtime/kernels/built.h"
#include "runtime/kernels/tables.h"
#include "runtime/kernels/vec.h"

namespace ew::kernels::EW_TARGET {

inline void dft(const ops::signal::DftPlan& plan, const float* x, float* y, int64_t count,
                int64_t lanes, float* workspace) {
  ops::signal::dft_rows<float, float>(plan, x, y, count, lanes, workspace);
}

const SignalTable kSignalTable{.dft = kernel_of({"dft"}, dft)};

}  // namespace ew::kernels::EW_TARGET
