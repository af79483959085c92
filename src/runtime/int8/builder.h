#pragma once
// What the parts of an int8 region are built with. Internal to this folder.

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <type_traits>
#include <vector>

#include "base/crc32c.h"
#include "ir/graph.h"
#include "ir/memory_plan.h"
#include "ops/int8.h"
#include "runtime/int8/layout.h"
#include "runtime/int8/prove.h"
#include "runtime/int8/region.h"
#include "runtime/kernels/int8/int8_kernels.h"

namespace ew::runtime::int8 {

/// An index into the region's table of addresses.
using Slot = int;

/// How a step may be shared out: equal units that do not depend on each other, and what all of them
/// cost, in products of a convolution.
struct Share {
  int64_t units = 1;
  int64_t cost = 0;
};

/// Of a byte that is moved, of one that is added or requantised, of one that is looked up.
inline constexpr int64_t kCopyCost = 8;
inline constexpr int64_t kSumCost = 40;
inline constexpr int64_t kLookUpCost = 100;
/// Rows of an image as units.
Share row_share(const Layout&, int64_t byte_cost = kCopyCost);

/// One call of a kernel. run() neither allocates nor fails.
class Step {
 public:
  explicit Step(int node) : node_(node) {}
  virtual ~Step() = default;
  /// Called once, when the region's constants have their place.
  virtual void link(const uint8_t*) {}
  /// Units [first, last) of share().units.
  virtual void run(uint8_t* const* slots, int64_t first, int64_t last) const = 0;
  virtual Share share() const { return {}; }
  /// Whether units of the next step need none of this one's but those of the same number: the two
  /// run as one loop if they have as many.
  virtual bool joins_next() const { return false; }
  int node() const { return node_; }

 private:
  int node_;
};

/// Where the constants of a block's requantisation lie among the region's constants.
struct RequantPlace {
  kernels::int8::Requant requant;
  size_t bias = 0;
  size_t scale = 0;
  size_t offset = 0;
  size_t offset_negative = 0;
  size_t fine = 0;
  size_t channel = 0;
  size_t multiplier = 0;  ///< 0: none (no constants start with them)
  size_t shift = 0;
  size_t lanes = 0;
  /// Unless empty, `channel`, `multiplier` and `shift` are places in here.
  std::vector<int32_t> own;
  void link(const uint8_t* constants);

 private:
  bool repeats() const;
};

/// One output channel on its way back to bytes.
struct ChannelForm {
  Steps steps;  ///< of the exact function; ignored unless is_monotone
  bool is_monotone = true;
  bool is_relu = false;  ///< clamped where the sign of the sum changes
  double slope = 1;      ///< the real line that the steps follow
  double zero = 0;
  int32_t bias = 0;  ///< added to the sums of bytes and weights
};

/// The exact function as kernels call it.
struct ExactFunction {
  uint8_t (*call)(const void* context, int32_t acc, int32_t channel) = nullptr;
  const void* context = nullptr;
  /// If it rounds twice: for kernels that can do that themselves.
  const ops::int8::Requantizer* twice = nullptr;
  int32_t period =
      std::numeric_limits<int32_t>::max();  ///< its channel is the kernel's modulo this
};

/// Builds one region.
class Builder {
 public:
  Builder(const ir::Graph& graph, size_t first, size_t last, const RegionOptions& options,
          const kernels::int8::Int8Table& table);
  /// Null if the constants of a file do not fit.
  std::unique_ptr<Region> build();

  const ir::Graph& graph() const { return graph_; }
  const kernels::int8::Int8Table& table() const { return table_; }
  int node_index() const { return node_; }

  /// The value as bytes with at least this border.
  struct Placed {
    Slot slot;
    Layout layout;
  };
  Placed use(ir::ValueId id, const Border& border = {});
  /// The same in the layout that it happens to have.
  Placed use_any(ir::ValueId id);
  /// Without any border.
  Placed use_plain(ir::ValueId id);
  /// Where the value is to be written; its border is filled by a step of its own.
  Placed define(ir::ValueId id);
  /// A value as the graph has it, in the executor's memory.
  Slot outside_input(ir::ValueId id);
  Slot outside_output(ir::ValueId id);
  /// Bytes for use while this node runs.
  Slot scratch(int64_t bytes);

  /// run(slots): a step that is not shared out.
  template <typename F>
  void step(F run);
  /// run(slots, first, last): likewise, of `share.units` units.
  template <typename F>
  void shared_step(Share share, F run, bool joins_next = false);
  void add_step(std::unique_ptr<Step> step);

  /// Whether the region's constants come from a file: nothing is to be packed or proved, and
  /// weights are not to be looked at.
  bool has_packed() const { return options_.packed != nullptr; }
  /// Space among the constants, aligned to 64 bytes, that fill(address) writes (unless a file has).
  template <typename F>
  size_t keep(size_t bytes, F fill);
  /// The same for a copy of `values`, which must be equal to those of a file.
  template <typename T>
  size_t keep_checked(const std::vector<T>& values);
  /// Results that are costly to find: find() sets `values`, unless a file knows them.
  template <typename F, typename... T>
  void know(F find, T&... values);

  /// The constants of lanes whose channels are `channels` (-1: none; whole vectors). `forms` are
  /// indexed by channel; none are needed if has_packed().
  /// `base`: the stored value that floats count from (Requant::zero).
  /// `is_product`: the kernel knows all that the table does, not only kFloat and kExact.
  RequantPlace requantize(const std::vector<int32_t>& channels,
                          const std::vector<ChannelForm>& forms, ops::int8::Range range,
                          const ExactFunction& exact, int32_t base, bool is_product);

 private:
  friend class Region;
  struct SlotInfo {
    int64_t bytes = 0;
    int first = 0;
    int last = 0;
  };
  void find_demands();
  void find_views();
  Slot new_slot(int64_t bytes);
  void touch(Slot slot);
  void fill_border(const Placed& placed, ir::ValueId id);
  Placed copy_with(const Placed& from, ir::ValueId id, const Border& border);
  ir::ValueId root(ir::ValueId id) const { return roots_[static_cast<size_t>(id)]; }
  kernels::int8::Rounding prove_forms(const std::vector<int32_t>& channels,
                                      const std::vector<ChannelForm>& forms, int32_t base,
                                      bool may_use_bits, bool may_use_fine,
                                      std::map<int32_t, FloatForm>& proved) const;
  void keep_requant(const std::vector<int32_t>& channels, const std::vector<ChannelForm>& forms,
                    const std::map<int32_t, FloatForm>& proved, RequantPlace& place);
  /// `is_own`: with the place, not among the region's constants.
  void keep_exact(const std::vector<int32_t>& channels, const ExactFunction& exact, bool is_own,
                  RequantPlace& place);
  void hand_out(ir::ValueId id);
  void end_node();
  std::vector<int64_t> slack() const;
  void finish();
  bool takes_packed() const;
  size_t reserve(size_t bytes);
  template <typename T>
  void note(T value) {
    digest_ = crc32c({reinterpret_cast<const uint8_t*>(&value), sizeof(T)}, digest_);
  }
  template <typename T>
  void know_one(T& value);

  const ir::Graph& graph_;
  size_t first_;
  size_t last_;
  const RegionOptions& options_;
  const kernels::int8::Int8Table& table_;
  std::unique_ptr<Region> region_;
  int node_ = 0;
  std::vector<ir::ValueId> roots_;  // per value: the one whose bytes it shares (views)
  std::vector<Border> demands_;     // per root
  std::vector<bool> is_plain_;      // per root: has views, so it has no border
  std::multimap<ir::ValueId, Placed> placed_;
  std::map<ir::ValueId, Slot> outside_in_;
  std::map<ir::ValueId, Slot> outside_out_;
  std::vector<SlotInfo> slots_;
  std::vector<Slot> used_;  // by the current node
  std::vector<uint8_t> constants_;
  size_t constant_bytes_ = 0;
  std::vector<uint8_t> facts_;
  size_t facts_read_ = 0;
  uint32_t digest_ = 0;     // of nodes, types and sizes: what a file's constants must be made for
  bool is_broken_ = false;  // the file's constants do not fit
};

template <typename F>
size_t Builder::keep(size_t bytes, F fill) {
  const size_t place = reserve(bytes);
  if (!has_packed()) fill(constants_.data() + place);
  return place;
}

template <typename T>
size_t Builder::keep_checked(const std::vector<T>& values) {
  const size_t bytes = values.size() * sizeof(T);
  const size_t place = keep(bytes, [&](uint8_t* to) { std::memcpy(to, values.data(), bytes); });
  if (has_packed() && !is_broken_) {
    is_broken_ = std::memcmp(options_.packed->block.data() + place, values.data(), bytes) != 0;
  }
  return place;
}

template <typename T>
void Builder::know_one(T& value) {
  static_assert(std::is_arithmetic_v<T>, "no padding in files");
  if (!has_packed()) {
    const auto* from = reinterpret_cast<const uint8_t*>(&value);
    facts_.insert(facts_.end(), from, from + sizeof(T));
    return;
  }
  const std::span<const uint8_t> facts = options_.packed->facts;
  is_broken_ |= sizeof(T) > facts.size() - facts_read_;
  if (is_broken_) return;
  std::memcpy(&value, facts.data() + facts_read_, sizeof(T));
  facts_read_ += sizeof(T);
}

template <typename F, typename... T>
void Builder::know(F find, T&... values) {
  if (!has_packed()) find();
  (know_one(values), ...);
}

template <typename F>
void Builder::shared_step(Share share, F run, bool joins_next) {
  class Callable final : public Step {
   public:
    Callable(int node, Share share, F f, bool joins)
        : Step(node), share_(share), f_(std::move(f)), joins_(joins) {}
    void run(uint8_t* const* slots, int64_t first, int64_t last) const override {
      f_(slots, first, last);
    }
    Share share() const override { return share_; }
    bool joins_next() const override { return joins_; }

   private:
    Share share_;
    F f_;
    bool joins_;
  };
  add_step(std::make_unique<Callable>(node_, share, std::move(run), joins_next));
}

template <typename F>
void Builder::step(F run) {
  shared_step({}, [f = std::move(run)](uint8_t* const* slots, int64_t, int64_t) { f(slots); });
}

/// Calls f(image, first row, rows) for rows [first, last) of images of `h` rows.
template <typename F>
void for_images(int64_t h, int64_t first, int64_t last, F f) {
  while (first < last) {
    const int64_t row = first % h;
    const int64_t rows = std::min(h - row, last - first);
    f(first / h, row, rows);
    first += rows;
  }
}

/// A kind of node. `border`: what input 0 must have around it. `add`: appends the node's steps.
struct NodeKind {
  const ir::OpDef* op;
  bool (*supports)(const ir::Graph&, const ir::Node&, bool constant_parameters);
  Border (*border)(const ir::Graph&, const ir::Node&);
  void (*add)(Builder&, const ir::Node&);
};
/// Null if regions do not know the operator.
const NodeKind* find_kind(const ir::OpDef& op);

/// Whether the value is int8 with one scale.
bool is_int8(const ir::Graph& graph, ir::ValueId id);
/// Whether it never changes.
bool is_constant(const ir::Graph& graph, ir::ValueId id, bool constant_parameters);

// The kinds, by file.
bool supports_conv(const ir::Graph&, const ir::Node&, bool constant_parameters);
bool supports_dense(const ir::Graph&, const ir::Node&, bool constant_parameters);
Border conv_border(const ir::Graph&, const ir::Node&);
void add_conv(Builder&, const ir::Node&);
void add_depthwise(Builder&, const ir::Node&);
void add_dense(Builder&, const ir::Node&);

bool supports_pool(const ir::Graph&, const ir::Node&, bool);
void add_avg_pool(Builder&, const ir::Node&);
void add_max_pool(Builder&, const ir::Node&);
bool supports_mean(const ir::Graph&, const ir::Node&, bool);
void add_mean(Builder&, const ir::Node&);

bool supports_sum(const ir::Graph&, const ir::Node&, bool);
void add_sum(Builder&, const ir::Node&);
bool supports_unary(const ir::Graph&, const ir::Node&, bool);
void add_unary(Builder&, const ir::Node&);
bool supports_softmax(const ir::Graph&, const ir::Node&, bool);
void add_softmax(Builder&, const ir::Node&);
bool supports_quantize(const ir::Graph&, const ir::Node&, bool);
void add_quantize(Builder&, const ir::Node&);
bool supports_dequantize(const ir::Graph&, const ir::Node&, bool);
void add_dequantize(Builder&, const ir::Node&);
bool supports_reshape(const ir::Graph&, const ir::Node&, bool);
void add_reshape(Builder&, const ir::Node&);
bool supports_pad(const ir::Graph&, const ir::Node&, bool);
void add_pad(Builder&, const ir::Node&);
bool supports_concat(const ir::Graph&, const ir::Node&, bool);
void add_concat(Builder&, const ir::Node&);

}  // namespace ew::runtime::int8
