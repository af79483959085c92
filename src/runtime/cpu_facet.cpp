#include "runtime/cpu_facet.h"

#include <algorithm>

namespace ew::runtime {

const kernels::KernelTable& cpu() {
  static const kernels::KernelTable& table = kernels::kernels(kernels::detect_cpu());
  return table;
}

const kernels::KernelTable& cpu_for(int64_t channels) {
  using kernels::CpuTarget;
  static const bool has_narrower =
      kernels::detect_cpu() == CpuTarget::kAvx512 && kernels::is_supported(CpuTarget::kAvx2);
  if (has_narrower && channels <= 8) return kernels::kernels(CpuTarget::kAvx2);
  return cpu();
}

kernels::CpuTarget target_of(const kernels::KernelTable& table) {
  for (const kernels::CpuTarget target : kernels::kCpuTargets) {
    if (kernels::is_supported(target) && &kernels::kernels(target) == &table) return target;
  }
  return kernels::CpuTarget::kPortable;
}

bool is_f32(const KernelContext& c) {
  const auto is_plain = [](const ir::TensorType& type) {
    return type.dtype == DType::kF32 && !type.quant;
  };
  return std::all_of(
             c.in.begin(), c.in.end(),
             [&](const ir::TensorType* type) { return type == nullptr || is_plain(*type); }) &&
         std::all_of(c.out.begin(), c.out.end(), is_plain);
}

kernels::Clamp clamp_of(const ir::Node& node) {
  return {static_cast<float>(node.attrs.number("clamp_min")),
          static_cast<float>(node.attrs.number("clamp_max"))};
}

kernels::Window2d window2d(std::span<const ops::WindowDim> dims) {
  kernels::Window2d w;
  const ops::WindowDim& x = dims.back();
  w.in_w = x.in;
  w.out_w = x.out;
  w.kernel_w = x.kernel;
  w.stride_w = x.stride;
  w.dilation_w = x.dilation;
  w.pad_left = x.pad_begin;
  if (dims.size() < 2) return w;
  const ops::WindowDim& y = dims[dims.size() - 2];
  w.in_h = y.in;
  w.out_h = y.out;
  w.kernel_h = y.kernel;
  w.stride_h = y.stride;
  w.dilation_h = y.dilation;
  w.pad_top = y.pad_begin;
  return w;
}

}  // namespace ew::runtime
