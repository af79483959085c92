#pragma once
// A run of quantised nodes as one program of steps with plain arguments (docs/design).

#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "ir/graph.h"
#include "ir/packed.h"
#include "runtime/kernels/int8/int8_kernels.h"

namespace ew::runtime::int8 {

struct RegionOptions {
  bool constant_parameters = true;
  /// Per value: whether something outside of the region reads it.
  std::vector<bool> is_needed_outside;
  /// Constants of this region from a file, or null. They are taken if they fit the region and
  /// belong to its weights; `packed_owner` keeps their memory.
  const ir::PackedPart* packed = nullptr;
  std::shared_ptr<const void> packed_owner = {};
};

class Step;

/// Nodes [first, last) of a graph. Not thread-safe: one run at a time.
class Region {
 public:
  ~Region();
  /// Whether a region can hold the node.
  static bool supports(const ir::Graph& graph, const ir::Node& node, bool constant_parameters);
  /// All nodes must be supported. Neither keeps a reference to the graph.
  static std::unique_ptr<Region> build(const ir::Graph& graph, size_t first, size_t last,
                                       const RegionOptions& options,
                                       const kernels::int8::Int8Table& table);

  /// What the region reads and writes, as the graph has it (stored values, without border).
  const std::vector<ir::ValueId>& inputs() const { return inputs_; }
  const std::vector<ir::ValueId>& outputs() const { return outputs_; }

  /// Runs all steps; those that are worth it on all threads of `pool`, if it is not null. The bytes
  /// do not depend on it. `nanoseconds`, if not null, has one entry per node of the graph; the time
  /// of every step is added to its node's.
  void run(ir::ConstViews in, ir::Views out, ThreadPool* pool, int64_t* nanoseconds);

  /// Borders included; the lower bound is the most that is alive at any one step.
  int64_t arena_bytes() const { return arena_bytes_; }
  int64_t lower_bound_bytes() const { return lower_bound_bytes_; }
  /// Blocks of output channels, and those of them without a proved form.
  int64_t block_count() const { return blocks_; }
  int64_t exact_block_count() const { return exact_blocks_; }

  /// What a file must hold to build this region without packing or proving; it lives as long as the
  /// region.
  ir::PackedPart packed() const;
  /// Whether the constants came from a file.
  bool is_from_file() const { return constants_owner_ != nullptr; }

 private:
  friend class Builder;
  Region();
  bool may_share() const;  // its steps among threads
  void run_steps(size_t first, size_t last, ThreadPool* pool);
  size_t end_of_loop(size_t first) const;

  std::vector<ir::ValueId> inputs_;
  std::vector<ir::ValueId> outputs_;
  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<uint8_t*> slots_;  // addresses; those of outside values are set by run()
  std::vector<int> input_slots_;
  std::vector<int> output_slots_;
  std::unique_ptr<ir::Buffer> arena_;
  std::unique_ptr<ir::Buffer> constants_;        // null if they lie in a file
  std::shared_ptr<const void> constants_owner_;  // of that file
  std::vector<uint8_t> facts_;
  ir::PackedPart packed_;
  int64_t arena_bytes_ = 0;
  int64_t lower_bound_bytes_ = 0;
  int64_t cost_ = 0;  // of all steps
  int64_t blocks_ = 0;
  int64_t exact_blocks_ = 0;
};

}  // namespace ew::runtime::int8
