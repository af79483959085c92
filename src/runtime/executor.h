#pragma once
// Runs a graph with static shapes on the CPU: every buffer is placed before the first run.

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "ir/graph.h"
#include "ir/memory_plan.h"
#include "runtime/band_chain.h"
#include "runtime/int8/region.h"
#include "runtime/kernel.h"

namespace ew::runtime {

struct ExecutorOptions {
  bool reference_only = false;  ///< run every operator's reference
  bool profile = false;         ///< keep the time each node takes
  /// Whose int8 kernels to use; none: the best this machine has.
  std::optional<kernels::CpuTarget> int8_target = {};
  bool constant_parameters = true;  ///< parameters never change, so kernels may pack them
  ThreadPool* pool = nullptr;       ///< null: one thread; must outlive the executor
  /// Values that must keep their contents after the run, besides the graph's outputs.
  std::vector<ir::ValueId> keep = {};
  /// Computed values that must lie in the caller's memory (parameter gradients, side by side). One
  /// that shares storage with another value is left where it is: compare view() to find out.
  std::vector<std::pair<ir::ValueId, void*>> placed = {};
  /// Constants from a file. What does not fit this graph, these kernels or the weights is derived
  /// from the weights instead.
  std::shared_ptr<const ir::PackedSection> packed = nullptr;
};

/// A graph ready to run. Not thread-safe: one run at a time.
class Executor {
 public:
  /// `graph` must have static shapes (specialize() first); it is copied. Errors: kInvalidArgument
  /// for open shapes; kUnsupported for an operator that neither kernel nor reference can run.
  static Result<std::unique_ptr<Executor>> create(ir::Graph graph, ExecutorOptions options);

  /// Makes `value` (an input, parameter or constant) live in caller's memory from now on.
  void bind(ir::ValueId value, const void* data);
  /// Copies a tensor into an input of the same type. Error kInvalidArgument names expected and
  /// found.
  Status set_input(size_t index, const ir::Tensor& tensor);

  /// Runs all nodes.
  void run() { run(0, graph_.nodes.size()); }
  /// Runs nodes [begin, end); the caller has run those before. An int8 region, or a chain of
  /// kernels (band_chain.h), runs as a whole with its first node.
  void run(size_t begin, size_t end);

  /// Where a value's contents lie after (or, for inputs, before) a run. Values inside an int8
  /// region or a chain that nothing outside reads (nor options.keep names) have no place of their
  /// own: data is null.
  ir::ConstTensorView view(ir::ValueId value) const;
  ir::TensorView mutable_view(ir::ValueId value);
  ir::Tensor output(size_t index) const;

  /// With options.profile: nanoseconds spent in each node so far.
  const std::vector<int64_t>& profile() const { return nanoseconds_; }

  const ir::Graph& graph() const { return graph_; }
  const ir::MemoryPlan& memory_plan() const { return plan_; }
  /// The int8 regions, in order.
  std::vector<const int8::Region*> regions() const;
  /// What a file must hold so that the same graph is prepared without packing or proving; none if
  /// nothing is. It refers to memory of this executor.
  std::optional<ir::PackedSection> packed() const;
  /// How many regions and kernels hold constants in layouts of their own, and
  /// of how many these come from a file.
  struct PackedCount {
    int64_t all = 0;
    int64_t from_file = 0;
  };
  PackedCount packed_count() const;

 private:
  struct Step {
    const ir::Node* node;
    std::unique_ptr<Kernel> kernel;  // null: the reference
    std::vector<ir::ConstTensorView> in;
    std::vector<ir::TensorView> out;
    std::unique_ptr<int8::Region> region;  // of this node and those that follow it
    std::unique_ptr<BandChain> chain;      // of this node's kernel and those that follow it
    bool is_inside = false;                // of the region or chain of an earlier node
  };

  Executor() = default;
  void run_step(size_t index);
  Status prepare_steps(const ExecutorOptions& options);
  void find_regions();
  void find_chains();
  void make_workspace();
  bool is_link(size_t node, const std::vector<int>& readers) const;
  void run_chain(size_t first);
  void count_weight_uses();
  bool is_weight(ir::ValueId id) const;
  void release_weights(size_t node, const int8::Region* region);
  const kernels::int8::Int8Table& int8_table() const;
  const ir::PackedSection* usable_section() const;
  uint32_t kernel_digest(size_t node) const;
  const ir::PackedPart* find_kernel_part(size_t node) const;
  std::vector<bool> needed_outside(size_t first, size_t last) const;
  void place_buffers();
  void link_views();

  ir::Graph graph_;
  ExecutorOptions options_;
  ir::MemoryPlan plan_;
  std::unique_ptr<ir::Buffer> arena_;
  std::unique_ptr<ir::Buffer> workspace_;
  std::vector<void*> data_;           // per value
  std::vector<ir::ValueId> storage_;  // per value: the value whose memory it uses (views, in place)
  std::vector<Step> steps_;
  std::vector<int> step_of_;      // per node: the one it runs with
  std::vector<int> weight_uses_;  // per value: by nodes that are not prepared, or need it to run
  std::vector<int64_t> nanoseconds_;
};

/// One call: specialises the graph to the inputs, runs it, returns the outputs.
Result<std::vector<ir::Tensor>> run_graph(const ir::Graph& graph,
                                          std::span<const ir::Tensor> inputs,
                                          ExecutorOptions options = {});

/// The same for inputs with any number of rows in axis 0, `slice` rows at a time.
Result<std::vector<ir::Tensor>> run_rows(const ir::Graph& graph, std::span<const ir::Tensor> inputs,
                                         int64_t slice, ExecutorOptions options = {});

/// Rows [begin, begin + count) of a tensor.
ir::Tensor rows_of(const ir::Tensor& tensor, int64_t begin, int64_t count);
/// Writes the executor's outputs as rows [begin, begin + count) of `total` rows.
void append_rows(const Executor& executor, int64_t begin, int64_t count, int64_t total,
                 std::vector<ir::Tensor>& outputs);

}  // namespace ew::runtime
