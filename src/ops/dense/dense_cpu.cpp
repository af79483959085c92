// Dense as one matrix product over all rows, with the bias in its epilogue.
#include "runtime/cpu_facet.h"
#include "runtime/hybrid_kernel.h"
#include "runtime/packed_weights.h"

namespace ew::ops {
namespace {

class Dense final : public runtime::Kernel {
 public:
  Dense(const runtime::KernelContext& c, const kernels::GemmArgs& args) : args_(args) {
    if (c.constants[1] == nullptr) return;
    args_.b = c.constants[1]->values<float>().data();
    const kernels::KernelTable& table = runtime::cpu();
    packed_ = runtime::PackedWeights(c, table, table.gemm_packed_bytes(args_),
                                     [&](float* packed) { table.gemm_pack(args_, packed); });
    const kernels::PackedB view = packed_.view();
    args_.is_packed = true;
    args_.b = view.floats;
    args_.halves = view.halves;
    args_.half_type = view.type;
  }
  void run(ConstViews in, Views out, void* workspace, ThreadPool* pool) const override {
    kernels::GemmArgs args = args_;
    args.a = in[0].as<float>();
    args.bias = in.size() > 2 && in[2] ? in[2].as<float>() : nullptr;
    args.c = out[0].as<float>();
    if (!args.is_packed) args.b = in[1].as<float>();
    runtime::cpu().gemm(args, workspace, pool);
  }
  size_t workspace_bytes() const override {
    return runtime::cpu().gemm_workspace_bytes(args_, runtime::kMaxThreads);
  }
  bool needs_input(size_t index) const override { return index != 1 || !args_.is_packed; }
  std::optional<runtime::PackedBlock> packed() const override {
    if (!args_.is_packed) return std::nullopt;
    return packed_.block();
  }

 private:
  kernels::GemmArgs args_;
  runtime::PackedWeights packed_;
};

}  // namespace

std::unique_ptr<runtime::Kernel> dense_cpu(const runtime::KernelContext& c);
std::unique_ptr<runtime::Kernel> dense_cpu(const runtime::KernelContext& c) {
  if (runtime::is_hybrid(c)) return runtime::hybrid_dense(c);
  if (!runtime::is_f32(c)) return nullptr;
  kernels::GemmArgs args;
  args.m = c.in[0]->shape.product(0, c.in[0]->shape.rank() - 1);
  args.k = c.in[1]->shape[0];
  args.n = c.in[1]->shape[1];
  args.lda = args.k;
  args.ldb = args.n;
  args.ldc = args.n;
  args.clamp = runtime::clamp_of(c.node);
  return std::make_unique<Dense>(c, args);
}

}  // namespace ew::ops
