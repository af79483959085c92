// Poolings and means as steps of a region: sums of bytes per channel, then one exact function of
// the sum for all channels.
#include <algorithm>
#include <bit>
#include <cstring>

#include "ops/reduce.h"
#include "ops/window.h"
#include "runtime/int8/builder.h"

namespace ew::runtime::int8 {
namespace {

using ir::Graph;
using ir::Node;
using kernels::int8::Int8Table;
using ops::WindowDim;

struct Pool {
  WindowDim y;
  WindowDim x;
};
Pool pool_of(const Graph& g, const Node& node) {
  const Shape& shape = g.type(node.inputs[0]).shape;
  const std::vector<WindowDim> dims =
      *ops::window_dims(ops::spatial_of(shape), node.attrs.ints("pool"), node.attrs);
  return {.y = dims.size() > 1 ? dims[0] : WindowDim(), .x = dims.back()};
}

// The taps of output o that lie inside the input: [begin, end).
struct Taps {
  int64_t begin;
  int64_t end;
  int64_t count() const { return std::max<int64_t>(0, end - begin); }
};
Taps taps_of(const WindowDim& d, int64_t o) {
  const int64_t begin = o * d.stride - d.pad_begin;
  return {std::max<int64_t>(begin, 0), std::min(begin + d.kernel, d.in)};
}

// The exact function of a sum of `count` stored values.
struct AverageOf {
  int64_t count;
  int operator()(int64_t sum) const {
    const int64_t half = sum > 0 ? count / 2 : -(count / 2);
    return static_cast<int>((sum + half) / count);
  }
};
struct MeanOf {
  ops::int8::Multiplier scale;
  int64_t count;
  int32_t zero_x;
  int32_t zero_y;
  int operator()(int64_t sum) const {
    const int64_t scaled =
        ops::int8::scale_twice_rounded(static_cast<int32_t>(sum - zero_x * count), scale);
    return static_cast<int>(std::clamp<int64_t>(scaled + zero_y, -128, 127));
  }
};

template <typename F>
ExactFunction exact_function(const F* f) {
  return {.call =
              [](const void* context, int32_t acc, int32_t) {
                return static_cast<uint8_t>((*static_cast<const F*>(context))(acc) + 128);
              },
          .context = f};
}

// Sums of windows, each with the requantisation for its number of taps.
template <typename F>
class SumStep final : public Step {
 public:
  explicit SumStep(int node) : Step(node) {}

  void add_count(Builder& b, int64_t count, F f, double slope, double zero,
                 bool is_monotone = true) {
    functions.push_back(std::make_unique<F>(f));
    ChannelForm form;
    form.slope = slope;
    form.zero = zero;
    if (!b.has_packed()) {
      form.steps = find_steps([&](int64_t acc) { return f(acc); }, slope, zero, {}, -128 * count,
                              127 * count);
    }
    form.bias = static_cast<int32_t>(-128 * count);
    form.is_monotone = is_monotone;
    // All channels alike, in whole vectors.
    const std::vector<int32_t> lanes(static_cast<size_t>((in.layout.c + 15) / 16 * 16), 0);
    counts.push_back(count);
    requants.push_back(
        b.requantize(lanes, {form}, {}, exact_function(functions.back().get()), 0, false));
  }
  void link(const uint8_t* constants) override {
    for (RequantPlace& place : requants) place.link(constants);
  }
  void run(uint8_t* const* slots, int64_t, int64_t) const override {
    const Layout& from = in.layout;
    const Layout& to = out.layout;
    auto* sums = reinterpret_cast<int32_t*>(slots[scratch]);
    for (int64_t n = 0; n < from.images; ++n) {
      const uint8_t* image = slots[in.slot] + n * from.image() + from.origin();
      for (int64_t oy = 0; oy < y.out; ++oy) {
        const Taps rows = taps_of(y, oy);
        for (int64_t ox = 0; ox < x.out; ++ox) {
          const Taps columns = taps_of(x, ox);
          uint8_t* pixel =
              slots[out.slot] + n * to.image() + to.origin() + oy * to.row() + ox * to.c;
          const int64_t count = rows.count() * columns.count();
          if (count == 0) {
            std::memset(pixel, empty, static_cast<size_t>(to.c));
            continue;
          }
          std::memset(sums, 0, static_cast<size_t>(from.c) * sizeof(int32_t));
          table->sum_pixels(image + rows.begin * from.row() + columns.begin * from.c, rows.count(),
                            from.row(), columns.count(), from.c, sums);
          const auto at = std::find(counts.begin(), counts.end(), count) - counts.begin();
          table->requantize(requants[static_cast<size_t>(at)].requant, sums, from.c, pixel);
        }
      }
    }
  }

  WindowDim y;
  WindowDim x;
  Builder::Placed in;
  Builder::Placed out;
  Slot scratch = 0;
  uint8_t empty = 0;
  const Int8Table* table = nullptr;
  std::vector<int64_t> counts;
  std::vector<RequantPlace> requants;
  std::vector<std::unique_ptr<F>> functions;
};

}  // namespace

bool supports_pool(const Graph& g, const Node& node, bool) {
  if (!is_int8(g, node.inputs[0]) || !is_int8(g, node.outputs[0])) return false;
  const int rank = g.type(node.inputs[0]).shape.rank();
  if (rank != 3 && rank != 4) return false;
  const Pool p = pool_of(g, node);
  // Sums of 2^15 bytes fit every form.
  return p.y.dilation == 1 && p.x.dilation == 1 &&
         std::min(p.y.kernel, p.y.in) * std::min(p.x.kernel, p.x.in) < (1 << 15);
}

void add_avg_pool(Builder& b, const Node& node) {
  const Graph& g = b.graph();
  const Pool p = pool_of(g, node);
  auto step = std::make_unique<SumStep<AverageOf>>(b.node_index());
  step->in = b.use_any(node.inputs[0]);
  step->out = b.define(node.outputs[0]);
  step->scratch = b.scratch((step->in.layout.c + 16) * 4);
  step->y = p.y;
  step->x = p.x;
  step->table = &b.table();
  step->empty = static_cast<uint8_t>(ops::int8::zero_of(g.type(node.outputs[0])) + 128);
  for (int64_t oy = 0; oy < p.y.out; ++oy) {
    for (int64_t ox = 0; ox < p.x.out; ++ox) {
      const int64_t count = taps_of(p.y, oy).count() * taps_of(p.x, ox).count();
      const auto& known = step->counts;
      if (count == 0 || std::find(known.begin(), known.end(), count) != known.end()) continue;
      step->add_count(b, count, {count}, 1.0 / static_cast<double>(count), 0);
    }
  }
  b.add_step(std::move(step));
}

bool supports_mean(const Graph& g, const Node& node, bool) {
  if (!is_int8(g, node.inputs[0]) || !is_int8(g, node.outputs[0])) return false;
  const Shape& shape = g.type(node.inputs[0]).shape;
  if (shape.rank() != 3 && shape.rank() != 4) return false;
  // All spatial dimensions, nothing else.
  const std::vector<bool> reduced = ops::reduced_dims(shape, node.attrs);
  for (int d = 0; d < shape.rank(); ++d) {
    const bool is_spatial = d > 0 && d < shape.rank() - 1;
    if (reduced[static_cast<size_t>(d)] != is_spatial) return false;
  }
  return shape.product(1, shape.rank() - 1) < (1 << 15);
}

void add_mean(Builder& b, const Node& node) {
  const Graph& g = b.graph();
  const ir::TensorType& from = g.type(node.inputs[0]);
  const ir::TensorType& to = g.type(node.outputs[0]);
  auto step = std::make_unique<SumStep<MeanOf>>(b.node_index());
  step->in = b.use_any(node.inputs[0]);
  step->out = b.define(node.outputs[0]);
  step->scratch = b.scratch((step->in.layout.c + 16) * 4);
  const Layout& l = step->in.layout;
  step->y = {.in = l.h, .kernel = l.h};
  step->x = {.in = l.w, .kernel = l.w};
  step->table = &b.table();
  // The output may keep the dimensions or not: [images, c] bytes either way.
  step->out.layout.images = l.images;
  step->out.layout.h = step->out.layout.w = 1;
  const int64_t count = l.h * l.w;
  // As the definition: the multiplier takes 1 / count into itself (ops/reduce_mean).
  const double real = double{ops::int8::scale_of(from)} / double{ops::int8::scale_of(to)};
  MeanOf f{ops::int8::quantize_multiplier(real), count, ops::int8::zero_of(from),
           ops::int8::zero_of(to)};
  int shift = 63 - std::countl_zero(static_cast<uint64_t>(count));
  shift = std::min({shift, 32, 31 + f.scale.shift});
  f.scale.value = static_cast<int32_t>((int64_t{f.scale.value} << shift) / count);
  f.scale.shift -= shift;
  const double slope = std::max(real / static_cast<double>(count), 1e-30);
  // Sums that wrap do not order their results.
  step->add_count(b, count, f, slope, f.zero_y - f.zero_x * real, f.scale.shift <= 7);
  b.add_step(std::move(step));
}

void add_max_pool(Builder& b, const Node& node) {
  const Graph& g = b.graph();
  const Pool p = pool_of(g, node);
  const Builder::Placed in = b.use_any(node.inputs[0]);
  const Builder::Placed out = b.define(node.outputs[0]);
  // A byte of a window costs about as much as one product.
  const int64_t window = p.y.kernel * p.x.kernel;
  const Share share{.units = out.layout.images * p.y.out,
                    .cost = out.layout.images * p.y.out * p.x.out * out.layout.c * window};
  b.shared_step(share, [p, in, out, max = b.table().max_pixels](uint8_t* const* slots,
                                                                int64_t first, int64_t last) {
    const Layout& from = in.layout;
    const Layout& to = out.layout;
    for (int64_t i = first; i < last; ++i) {
      const uint8_t* image = slots[in.slot] + i / p.y.out * from.image() + from.origin();
      const Taps rows = taps_of(p.y, i % p.y.out);
      uint8_t* pixel = slots[out.slot] + to.at(i / p.y.out, i % p.y.out);
      for (int64_t ox = 0; ox < p.x.out; ++ox, pixel += to.c) {
        const Taps columns = taps_of(p.x, ox);
        if (rows.count() * columns.count() == 0) {
          std::memset(pixel, 0, static_cast<size_t>(to.c));
          continue;
        }
        max(image + rows.begin * from.row() + columns.begin * from.c, rows.count(), from.row(),
            columns.count(), from.c, pixel);
      }
    }
  });
}

}  // namespace ew::runtime::int8
