#pragma once
// Kernels that run together a few rows at a time, so that what lies between them never leaves the
// cache: the large layers of a float net wait for memory else (docs/design/0026).

#include <memory>
#include <span>
#include <vector>

#include "runtime/kernel.h"
#include "runtime/kernels/common.h"

namespace ew::runtime {

/// Rows of one image, in and out; sizes in floats.
struct BandGeometry {
  kernels::Window2d window = {};
  int64_t in_row = 0;
  int64_t out_row = 0;
};

/// Input rows of a band. Row r is number (first + r) % ring of those that start at `rows`; with
/// ring = 0 they follow each other.
struct BandInput {
  const float* rows = nullptr;
  int64_t ring = 0;
  int64_t first = 0;
};

/// A kernel on one image whose output rows can be computed apart from each other, with the same
/// bits. Input 0 is the image.
class BandKernel : public Kernel {
 public:
  virtual BandGeometry geometry() const = 0;
  /// Space for weights(), aligned to 64 bytes.
  virtual size_t weight_bytes() const { return 0; }
  /// The weights as run_band() takes them, perhaps written to `space`; they hold for one run.
  virtual const float* weights(ir::ConstViews in, void* space, ThreadPool* pool) const = 0;
  /// Whether run_band() takes rows of a ring.
  virtual bool takes_ring() const { return false; }
  /// `window` is the node's but for in_h, out_h and pad_top: those of the band. x has its input
  /// rows, y is its first output row. On this thread.
  virtual void run_band(const kernels::Window2d& window, ir::ConstViews in, const float* weights,
                        const BandInput& x, float* y, void* workspace) const = 0;
  virtual size_t band_workspace_bytes(const kernels::Window2d& window) const = 0;
};

/// Kernels of which each reads what the one before it writes, and nothing else does.
class BandChain {
 public:
  /// Whether to join two kernels with so much between them: what stays in the second-level cache
  /// beside the weights need not be joined.
  static bool pays(const BandKernel& a);

  static constexpr size_t kMostKernels = 8;

  /// At most kMostKernels; `threads`: as many as run() may use.
  BandChain(std::vector<const BandKernel*> kernels, int threads);

  size_t workspace_bytes() const;
  size_t size() const { return kernels_.size(); }
  /// in[i]: the inputs of kernel i, whose first is only looked at for i = 0. `nanoseconds`, if not
  /// null: the time of each kernel is added to its element.
  void run(std::span<const ir::ConstViews> in, float* y, void* workspace, ThreadPool* pool,
           int64_t* nanoseconds) const;

 private:
  struct Range {
    int64_t first = 0;
    int64_t end = 0;
  };
  struct Link {
    BandGeometry geometry;
    int64_t rows = 0;      // most that are computed at once
    int64_t held = 0;      // rows of the buffer behind it; 0: the chain's output
    bool is_ring = false;  // row r of the output is number r % held of the buffer
    size_t buffer = 0;     // where that lies in a part's space
    size_t weights = 0;    // in the shared space
  };
  void plan(int64_t band);
  static Range input_of(const BandGeometry& g, const Range& out);
  void run_part(std::span<const ir::ConstViews> in, std::span<const float* const> weights,
                const Range& rows, float* y, uint8_t* space, int64_t* nanoseconds) const;
  void run_link(size_t i, std::span<const ir::ConstViews> in, const float* weights,
                const Range& rows, const BandInput& x, int64_t x_first, float* y,
                void* workspace) const;

  std::vector<const BandKernel*> kernels_;
  int threads_;
  std::vector<Link> links_;
  int64_t band_ = 1;         // output rows at a time
  size_t shared_bytes_ = 0;  // widened weights
  size_t part_bytes_ = 0;    // buffers and workspace of one thread
  size_t workspace_at_ = 0;  // of the kernels, in a part's space
};

}  // namespace ew::runtime
