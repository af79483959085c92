#include "runtime/int8/region.h"

#include <algorithm>
#include <functional>

#include "base/clock.h"
#include "ops/selected.h"
#include "runtime/int8/builder.h"

namespace ew::runtime::int8 {
namespace {

const NodeKind kKinds[] = {
    {EW_IF_SELECTED(conv, Conv), supports_conv, conv_border, add_conv},
    {EW_IF_SELECTED(depthwise_conv, DepthwiseConv), supports_conv, conv_border, add_depthwise},
    {EW_IF_SELECTED(dense, Dense), supports_dense, nullptr, add_dense},
    {EW_IF_SELECTED(avg_pool, AvgPool), supports_pool, nullptr, add_avg_pool},
    {EW_IF_SELECTED(max_pool, MaxPool), supports_pool, nullptr, add_max_pool},
    {EW_IF_SELECTED(reduce_mean, ReduceMean), supports_mean, nullptr, add_mean},
    {EW_IF_SELECTED(add, Add), supports_sum, nullptr, add_sum},
    {EW_IF_SELECTED(sub, Sub), supports_sum, nullptr, add_sum},
    {EW_IF_SELECTED(softmax, Softmax), supports_softmax, nullptr, add_softmax},
    {EW_IF_SELECTED(quantize, Quantize), supports_quantize, nullptr, add_quantize},
    {EW_IF_SELECTED(dequantize, Dequantize), supports_dequantize, nullptr, add_dequantize},
    {EW_IF_SELECTED(reshape, Reshape), supports_reshape, nullptr, add_reshape},
    {EW_IF_SELECTED(pad, Pad), supports_pad, nullptr, add_pad},
    {EW_IF_SELECTED(concat, Concat), supports_concat, nullptr, add_concat},
    {EW_IF_SELECTED(clip, Clip), supports_unary, nullptr, add_unary},
    {EW_IF_SELECTED(hard_silu, HardSilu), supports_unary, nullptr, add_unary},
    {EW_IF_SELECTED(leaky_relu, LeakyRelu), supports_unary, nullptr, add_unary},
    {EW_IF_SELECTED(relu, Relu), supports_unary, nullptr, add_unary},
    {EW_IF_SELECTED(relu6, Relu6), supports_unary, nullptr, add_unary},
    {EW_IF_SELECTED(sigmoid, Sigmoid), supports_unary, nullptr, add_unary},
    {EW_IF_SELECTED(tanh, Tanh), supports_unary, nullptr, add_unary},
};

}  // namespace

const NodeKind* find_kind(const ir::OpDef& op) {
  for (const NodeKind& kind : kKinds) {
    if (kind.op == &op) return &kind;
  }
  return nullptr;
}

bool is_int8(const ir::Graph& graph, ir::ValueId id) {
  if (id == ir::kNoValue) return false;
  const ir::TensorType& type = graph.type(id);
  return type.dtype == DType::kI8 && type.quant && type.quant->scales.size() == 1;
}

bool is_constant(const ir::Graph& graph, ir::ValueId id, bool constant_parameters) {
  if (id == ir::kNoValue) return true;
  const ir::ValueKind kind = graph.value(id).kind;
  return kind == ir::ValueKind::kConstant ||
         (kind == ir::ValueKind::kParameter && constant_parameters);
}

Region::Region() = default;
Region::~Region() = default;

bool Region::supports(const ir::Graph& graph, const ir::Node& node, bool constant_parameters) {
  const NodeKind* kind = find_kind(*node.op);
  if (kind == nullptr || node.outputs.size() != 1) return false;
  for (const ir::ValueId id : node.inputs) {
    if (id != ir::kNoValue && graph.type(id).shape.num_elements() == 0) return false;
  }
  if (graph.type(node.outputs[0]).shape.num_elements() == 0) return false;
  return kind->supports(graph, node, constant_parameters);
}

std::unique_ptr<Region> Region::build(const ir::Graph& graph, size_t first, size_t last,
                                      const RegionOptions& options,
                                      const kernels::int8::Int8Table& table) {
  if (options.packed != nullptr) {
    if (auto region = Builder(graph, first, last, options, table).build()) return region;
  }
  RegionOptions from_weights = options;
  from_weights.packed = nullptr;
  return Builder(graph, first, last, from_weights, table).build();
}

ir::PackedPart Region::packed() const { return packed_; }

// Waking the pool, which sleeps between two runs, costs about as much as this.
bool Region::may_share() const { return cost_ >= 6'000'000; }

// Steps that run as one loop: [first, result).
size_t Region::end_of_loop(size_t first) const {
  size_t last = first + 1;
  while (last < steps_.size() && steps_[last - 1]->joins_next() &&
         steps_[last]->share().units == steps_[first]->share().units) {
    ++last;
  }
  return last;
}

void Region::run_steps(size_t first, size_t last, ThreadPool* pool) {
  constexpr int64_t kLeastPart = 100'000;  // products that starting and ending a loop are worth
  const int64_t units = steps_[first]->share().units;
  int64_t parts = 1;
  if (pool != nullptr && may_share()) {
    int64_t cost = 0;
    for (size_t i = first; i < last; ++i) cost += steps_[i]->share().cost;
    // Twice as many parts as threads where they stay large: a thread that is held up gets fewer.
    const int64_t threads = pool->threads();
    const int64_t wanted = cost >= 8 * kLeastPart * threads ? 2 * threads : threads;
    parts = std::min({units, wanted, cost / kLeastPart});
  }
  const auto run_part = [&](int64_t i) {
    for (size_t k = first; k < last; ++k) {
      steps_[k]->run(slots_.data(), units * i / parts, units * (i + 1) / parts);
    }
  };
  if (parts > 1) return pool->run(parts, std::cref(run_part));
  parts = 1;
  run_part(0);
}

void Region::run(ir::ConstViews in, ir::Views out, ThreadPool* pool, int64_t* nanoseconds) {
  for (size_t i = 0; i < in.size(); ++i) {
    // Steps only read what lies outside.
    slots_[static_cast<size_t>(input_slots_[i])] =
        static_cast<uint8_t*>(const_cast<void*>(in[i].data));
  }
  for (size_t i = 0; i < out.size(); ++i) {
    slots_[static_cast<size_t>(output_slots_[i])] = static_cast<uint8_t*>(out[i].data);
  }
  if (pool != nullptr && pool->threads() == 1) pool = nullptr;
  if (nanoseconds == nullptr && (pool == nullptr || !may_share())) {
    // Of a small net even the questions who runs what would show.
    for (const auto& step : steps_) step->run(slots_.data(), 0, step->share().units);
    return;
  }
  if (nanoseconds == nullptr) {
    for (size_t i = 0, end = 0; i < steps_.size(); i = end) {
      end = end_of_loop(i);
      run_steps(i, end, pool);
    }
    return;
  }
  int64_t before = steady_clock_ns();
  for (size_t i = 0, end = 0; i < steps_.size(); i = end) {
    end = end_of_loop(i);
    run_steps(i, end, pool);
    const int64_t after = steady_clock_ns();
    nanoseconds[steps_[i]->node()] += after - before;
    before = after;
  }
}

}  // namespace ew::runtime::int8
