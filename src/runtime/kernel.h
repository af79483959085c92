#pragma once
// The CPU facet of an operator: prepare once, run many times.

#include <array>
#include <memory>
#include <optional>
#include <span>

#include "base/thread_pool.h"
#include "ir/packed.h"
#include "ops/ops.h"

namespace ew::runtime {

/// What a facet may look at while it prepares a node. Types are static.
struct KernelContext {
  const ir::Node& node;
  ir::InputTypes in;  ///< null where an optional input is absent
  std::span<const ir::TensorType> out;
  /// Per input: its tensor if it never changes between runs (weights at inference), else null. A
  /// kernel may pack such an input once.
  std::span<const ir::Tensor* const> constants;
  /// What a file holds of this node's constants, made of these weights, or null. A kernel takes it
  /// if its layout is the kernel's own; `packed_owner` keeps the memory.
  const ir::PackedPart* packed = nullptr;
  std::shared_ptr<const void> packed_owner = {};
};

/// A kernel's constants in a layout of its own, for a file.
struct PackedBlock {
  std::array<uint8_t, 2> layout{};  ///< which one: packed_weights.h
  std::span<const uint8_t> bytes;   ///< memory of the kernel
  bool is_from_file = false;
};

class BandKernel;

/// A prepared node. run() never allocates, locks or fails.
class Kernel {
 public:
  virtual ~Kernel() = default;
  /// `workspace` has workspace_bytes() bytes, aligned to 64; `pool` may be null (one thread).
  virtual void run(ir::ConstViews in, ir::Views out, void* workspace, ThreadPool* pool) const = 0;
  virtual size_t workspace_bytes() const { return 0; }
  /// False for a constant that the kernel holds in a layout of its own: run() does not look at it,
  /// so its memory may go.
  virtual bool needs_input(size_t index) const {
    static_cast<void>(index);
    return true;
  }
  /// What a file must hold so that prepare() need not pack.
  virtual std::optional<PackedBlock> packed() const { return std::nullopt; }
  /// This kernel, if its output rows can be computed apart from each other (band_chain.h).
  virtual const BandKernel* bands() const { return nullptr; }
};

/// Returns null for cases that the reference handles instead.
using PrepareFn = std::unique_ptr<Kernel> (*)(const KernelContext& context);

/// The CPU facet of an operator, or null.
PrepareFn find_cpu(const ir::OpDef& op);

/// A kernel from a callable f(in, out, workspace, pool).
template <typename F>
std::unique_ptr<Kernel> make_kernel(F f, size_t workspace_bytes = 0) {
  class Callable final : public Kernel {
   public:
    Callable(F callable, size_t bytes) : f_(std::move(callable)), bytes_(bytes) {}
    void run(ir::ConstViews in, ir::Views out, void* workspace, ThreadPool* pool) const override {
      f_(in, out, workspace, pool);
    }
    size_t workspace_bytes() const override { return bytes_; }

   private:
    F f_;
    size_t bytes_;
  };
  return std::make_unique<Callable>(std::move(f), workspace_bytes);
}

}  // namespace ew::runtime
