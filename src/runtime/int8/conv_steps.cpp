// Convolutions, depthwise convolutions and dense layers as steps of a region.
#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "ops/window.h"
#include "runtime/int8/builder.h"

namespace ew::runtime::int8 {
namespace {

using ir::Graph;
using ir::kNoValue;
using ir::Node;
using kernels::int8::ConvBlock;
using kernels::int8::ConvShape;
using kernels::int8::DepthwiseShape;
using kernels::int8::Int8Table;
using ops::WindowDim;
using ops::int8::Product;
using ops::int8::Requantizer;

// Larger buffers, such as those of huge dilations, are left to the reference.
constexpr int64_t kMaxBytes = int64_t{1} << 30;

struct Window {
  WindowDim y;
  WindowDim x;
};

bool is_depthwise(const Node& node) { return node.op == &ops::kDepthwiseConv; }

// Rank 3 has one spatial dimension: a row of height 1.
Window window_of(const Graph& g, const Node& node) {
  const Shape& x = g.type(node.inputs[0]).shape;
  const Shape& w = g.type(node.inputs[1]).shape;
  const auto kernel = std::span(w.dims()).first(static_cast<size_t>(w.rank() - 2));
  const std::vector<WindowDim> dims = *ops::window_dims(ops::spatial_of(x), kernel, node.attrs);
  return {.y = dims.size() > 1 ? dims[0] : WindowDim(), .x = dims.back()};
}

bool has_int8_operands(const Graph& g, const Node& node, bool constant_parameters) {
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    if (!is_constant(g, node.inputs[i], constant_parameters)) return false;
  }
  const ir::TensorType& w = g.type(node.inputs[1]);
  return is_int8(g, node.inputs[0]) && is_int8(g, node.outputs[0]) && w.dtype == DType::kI8 &&
         w.quant && g.type(node.inputs[0]).quant->scales.size() == 1;
}

int64_t far_edge(const WindowDim& d) {
  return std::max<int64_t>(0, (d.out - 1) * d.stride + d.extent() - d.in - d.pad_begin);
}

// Folded biases and the forms of all channels; the exact function lives in the step.
std::vector<ChannelForm> channel_forms(const Requantizer& exact, const int8_t* w, int64_t taps,
                                       int64_t channels, const int32_t* bias, int32_t zero_x) {
  const auto n = static_cast<size_t>(channels);
  std::vector<int64_t> sums(n, 0);
  std::vector<int64_t> negative(n, 0);
  for (int64_t t = 0; t < taps; ++t) {
    const int8_t* row = w + t * channels;
    for (size_t c = 0; c < n; ++c) {
      sums[c] += row[c];
      negative[c] += std::min<int>(row[c], 0);
    }
  }
  std::vector<ChannelForm> forms(n);
  for (size_t c = 0; c < n; ++c) {
    ChannelForm& form = forms[c];
    const int64_t folded = (bias != nullptr ? bias[c] : 0) - (128 + zero_x) * sums[c];
    const int64_t lowest = folded + 255 * negative[c];
    const int64_t highest = folded + 255 * (sums[c] - negative[c]);
    const auto channel = static_cast<int64_t>(c);
    form.bias = static_cast<int32_t>(static_cast<uint32_t>(folded));
    const int shift = exact.rounding() == Requantizer::Rounding::kTwice
                          ? std::max(exact.multiplier(channel).shift, 0)
                          : 0;
    // Sums that wrap do not order their results.
    const int64_t limit = (int64_t{1} << (31 - shift)) - 1;
    form.is_monotone = std::max(-lowest, highest) <= limit;
    if (!form.is_monotone) continue;
    form.slope = std::max(exact.real(channel), 1e-30);
    form.zero = exact.zero();
    form.is_relu = exact.range().min >= exact.zero();
    form.steps = steps_of(exact, channel, lowest, highest);
  }
  return forms;
}

// The exact functions of a step's channels; `period` channels repeat (see widened()).
struct ExactChannels {
  Requantizer of;
  int32_t period;

  ExactFunction function() const {
    const auto call = [](const void* context, int32_t acc, int32_t channel) {
      const auto& self = *static_cast<const ExactChannels*>(context);
      return static_cast<uint8_t>(self.of(acc, channel % self.period) + 128);
    };
    const bool is_twice = of.rounding() == Requantizer::Rounding::kTwice;
    return {.call = call, .context = this, .twice = is_twice ? &of : nullptr, .period = period};
  }
};

class ConvStep final : public Step {
 public:
  ConvStep(int node, ExactChannels e) : Step(node), exact(std::move(e)) {}

  void link(const uint8_t* constants) override {
    shape.segment_offsets = offsets.data();
    for (Part& part : parts) {
      part.requant.link(constants);
      part.block.requant = part.requant.requant;
      part.block.weights = constants + part.weights;
    }
  }
  void run(uint8_t* const* slots, int64_t first, int64_t last) const override {
    const uint8_t* x = slots[in] + in_offset;
    uint8_t* y = slots[out] + out_offset;
    const std::span all(parts);
    if (first == 0 && last == units()) {
      for (const Part& part : parts) conv(shape, part.block, x + part.x, y);
      return;
    }
    if (!by_block) return run_pieces(all, first, last, x, y);
    while (first < last) {
      const int64_t begin = first % pieces;
      const int64_t end = std::min(pieces, begin + last - first);
      run_pieces(all.subspan(static_cast<size_t>(first / pieces), 1), begin, end, x, y);
      first += end - begin;
    }
  }
  Share share() const override { return {.units = units(), .cost = cost}; }

  /// Once shape and parts are set: rows are shared out, or the columns of a single one. Where there
  /// are few pixels, each thread has blocks of channels instead: it then reads only their weights,
  /// which are the larger part.
  void find_units(int64_t channels) {
    const int64_t pixels = shape.images * shape.out_h * shape.out_w;
    cost = pixels * shape.segments * shape.segment_bytes * channels;
    pieces = shape.images * shape.out_h;
    if (pieces == 1) {
      for (const Part& part : parts) columns = std::max<int64_t>(columns, part.block.pixels);
      pieces = std::max<int64_t>(1, shape.out_w / columns);
    }
    constexpr int64_t kFewPixels = 128;
    by_block = parts.size() > 1 && pixels <= kFewPixels;
  }

  struct Part {
    ConvBlock block;
    int64_t x = 0;  // where its group's channels begin
    size_t weights = 0;
    RequantPlace requant;
  };
  ExactChannels exact;
  ConvShape shape;
  std::vector<int32_t> offsets;
  std::vector<Part> parts;
  bool by_block = false;  // units are the pieces of one block, then those of the next
  int64_t pieces = 1;     // rows, or runs of columns of a single one
  int64_t columns = 0;    // of a piece; 0: rows
  int64_t cost = 0;
  void (*conv)(const ConvShape&, const ConvBlock&, const uint8_t*, uint8_t*) = nullptr;
  Slot in = 0;
  Slot out = 0;
  int64_t in_offset = 0;
  int64_t out_offset = 0;

 private:
  int64_t units() const { return by_block ? pieces * static_cast<int64_t>(parts.size()) : pieces; }
  void run_pieces(std::span<const Part> blocks, int64_t first, int64_t last, const uint8_t* x,
                  uint8_t* y) const {
    ConvShape some = shape;
    if (first == 0 && last == pieces) {
      for (const Part& part : blocks) conv(shape, part.block, x + part.x, y);
    } else if (columns > 0) {
      some.out_w = (last == pieces ? shape.out_w : last * columns) - first * columns;
      x += first * columns * shape.in_pixel;
      y += first * columns * shape.out_pixel;
      for (const Part& part : blocks) conv(some, part.block, x + part.x, y);
    } else {
      some.images = 1;
      for_images(shape.out_h, first, last, [&](int64_t n, int64_t row, int64_t rows) {
        some.out_h = rows;
        for (const Part& part : blocks) {
          conv(some, part.block, x + part.x + n * shape.in_image + row * shape.in_row,
               y + n * shape.out_image + row * shape.out_row);
        }
      });
    }
  }
};

class DepthwiseStep final : public Step {
 public:
  DepthwiseStep(int node, ExactChannels e) : Step(node), exact(std::move(e)) {}

  void link(const uint8_t* constants) override {
    requant.link(constants);
    packed = constants + weights;
  }
  // Units are rows, those of the layers around it: each thread finds its rows in its own cache.
  void run(uint8_t* const* slots, int64_t first, int64_t last) const override {
    DepthwiseShape some = shape;
    some.images = 1;
    for_images(shape.out_h, first, last, [&](int64_t n, int64_t row, int64_t rows) {
      some.out_h = rows;
      depthwise(some, packed, requant.requant,
                slots[in] + in_offset + n * shape.in_image + row * shape.in_row,
                slots[out] + out_offset + n * shape.out_image + row * shape.out_row);
    });
  }
  Share share() const override {
    // The way back to a byte costs as much as some sixteen products.
    const int64_t outputs = shape.images * shape.out_h * shape.out_w * shape.channels;
    return {.units = shape.images * shape.out_h,
            .cost = outputs * (2 * shape.kernel_h * shape.kernel_w + 16)};
  }

  ExactChannels exact;
  DepthwiseShape shape;
  RequantPlace requant;
  size_t weights = 0;
  const uint8_t* packed = nullptr;
  void (*depthwise)(const DepthwiseShape&, const void*, const kernels::int8::Requant&,
                    const uint8_t*, uint8_t*) = nullptr;
  Slot in = 0;
  Slot out = 0;
  int64_t in_offset = 0;
  int64_t out_offset = 0;
};

const int32_t* bias_of(const Graph& g, const Node& node) {
  if (node.inputs.size() < 3 || node.inputs[2] == kNoValue) return nullptr;
  return g.value(node.inputs[2]).data.values<int32_t>().data();
}

ExactChannels exact_of(const Graph& g, const Node& node, int64_t channels, Product product) {
  return {{g.type(node.inputs[0]), g.type(node.inputs[1]), g.type(node.outputs[0]), channels,
           node.attrs, product, g.int8_profile},
          static_cast<int32_t>(channels)};
}

// Neighbouring output pixels of few channels as one pixel of more: each has the kernel at its own
// place in a row that is wider by the steps between them. Fills vectors that would be half empty.
int64_t widened_bytes(const ConvShape& s, int64_t pixels) {
  return s.segment_bytes + (pixels - 1) * s.in_pixel;
}

std::vector<int8_t> widened(const int8_t* w, const ConvShape& s, int64_t channels, int64_t pixels) {
  const int64_t bytes = widened_bytes(s, pixels);
  std::vector<int8_t> wide(static_cast<size_t>(s.segments * bytes * pixels * channels), 0);
  for (int64_t i = 0; i < s.segments; ++i) {
    for (int64_t k = 0; k < s.segment_bytes; ++k) {
      const int8_t* from = w + (i * s.segment_bytes + k) * channels;
      for (int64_t p = 0; p < pixels; ++p) {
        const int64_t at = ((i * bytes + k + p * s.in_pixel) * pixels + p) * channels;
        std::copy_n(from, channels, wide.begin() + at);
      }
    }
  }
  return wide;
}

void widen(ConvShape& s, int64_t pixels) {
  s.segment_bytes = widened_bytes(s, pixels);
  s.in_pixel *= pixels;
  s.out_pixel *= pixels;
  s.out_w /= pixels;
}

// How many pixels to take as one: as many as fit 16 channels and cost no more products.
int64_t pixels_as_one(const ConvShape& s, int64_t channels) {
  constexpr int64_t kLanes = 16;
  const auto dwords = [](int64_t bytes) { return (bytes + 3) / 4; };
  int64_t best = 1;
  for (int64_t pixels = 2; pixels * channels <= kLanes; pixels *= 2) {
    const int64_t wide = dwords(s.segment_bytes + (pixels - 1) * s.in_pixel);
    const bool fits = s.out_w % pixels == 0 && s.out_w / pixels >= 8 && s.out_pixel == channels;
    if (fits && wide <= pixels * dwords(s.segment_bytes)) best = pixels;
  }
  return best;
}

// Plans and packs the blocks of output channels [first, first + channels), whose input begins at x.
void add_group(Builder& b, ConvStep& step, const int8_t* w, int64_t all_channels, int64_t first,
               int64_t channels, int64_t x, const std::vector<ChannelForm>& forms) {
  const Int8Table& table = b.table();
  // Blocks have a vector of channels or more, but the last.
  const int64_t most = (channels + table.lanes - 1) / table.lanes;
  std::vector<ConvBlock> blocks(static_cast<size_t>(most));
  const int64_t count = table.plan_conv(step.shape, channels, blocks.data(), most);
  if (count > most) {
    blocks.resize(static_cast<size_t>(count));
    table.plan_conv(step.shape, channels, blocks.data(), count);
  }
  for (int64_t i = 0; i < count; ++i) {
    ConvStep::Part part{.block = blocks[static_cast<size_t>(i)], .x = x, .requant = {}};
    ConvBlock& block = part.block;
    block.first += first;
    part.weights = b.keep(table.conv_weight_bytes(step.shape, block), [&](uint8_t* packed) {
      table.pack_conv(step.shape, block, w, all_channels, packed);
    });
    std::vector<int32_t> lanes;
    for (int v = 0; v < block.vectors; ++v) {
      for (int l = 0; l < table.lanes; ++l) {
        const int channel = table.conv_channel(block.vectors, v, l);
        lanes.push_back(channel < block.channels ? static_cast<int32_t>(block.first + channel)
                                                 : -1);
      }
    }
    part.requant = b.requantize(lanes, forms, step.exact.of.range(), step.exact.function(),
                                step.exact.of.zero(), true);
    step.parts.push_back(part);
  }
}

// Appends the blocks of a step whose shape is set; `group_bytes`: of a group's input channels.
void add_blocks(Builder& b, const Node& node, std::unique_ptr<ConvStep> step, int64_t channels,
                int64_t groups = 1, int64_t group_bytes = 0) {
  const Graph& g = b.graph();
  const int8_t* w = g.value(node.inputs[1]).data.values<int8_t>().data();
  const int64_t taps = step->shape.segments * step->shape.segment_bytes;
  std::vector<ChannelForm> forms;
  if (!b.has_packed()) {
    forms = channel_forms(step->exact.of, w, taps, channels, bias_of(g, node),
                          ops::int8::zero_of(g.type(node.inputs[0])));
  }
  std::vector<int8_t> wide;
  const int64_t pixels = groups == 1 ? pixels_as_one(step->shape, channels) : 1;
  if (pixels > 1) {
    if (!b.has_packed()) wide = widened(w, step->shape, channels, pixels);
    widen(step->shape, pixels);
    w = wide.data();
    channels *= pixels;
    const size_t period = forms.size();
    while (period > 0 && forms.size() < static_cast<size_t>(channels)) {
      forms.push_back(forms[forms.size() - period]);
    }
  }
  step->shape.segment_offsets = step->offsets.data();
  const int64_t own = channels / groups;
  for (int64_t i = 0; i < groups; ++i) {
    add_group(b, *step, w, channels, i * own, own, i * group_bytes, forms);
  }
  step->conv = b.table().conv;
  step->find_units(own);
  b.add_step(std::move(step));
}

// Of a convolution; a depthwise filter of several outputs is one with a channel a group.
int64_t groups_of(const Graph& g, const Node& node) {
  return is_depthwise(node) ? g.type(node.inputs[1]).shape[-2] : node.attrs.integer("groups");
}

}  // namespace

bool supports_conv(const Graph& g, const Node& node, bool constant_parameters) {
  if (!has_int8_operands(g, node, constant_parameters)) return false;
  const int rank = g.type(node.inputs[0]).shape.rank();
  if (rank != 3 && rank != 4) return false;
  constexpr int64_t kMostGroups = 4096;  // each has blocks of its own
  const bool is_plain_depthwise = is_depthwise(node) && g.type(node.inputs[1]).shape[-1] == 1;
  if (!is_plain_depthwise && groups_of(g, node) > kMostGroups) return false;
  const Window window = window_of(g, node);
  const int64_t dilated = std::max(window.y.extent(), window.x.extent());
  if (dilated > (1 << 15)) return false;
  Layout in = layout_of(g.type(node.inputs[0]).shape);
  in.border = conv_border(g, node);
  return in.border.top < (1 << 15) && in.border.bottom < (1 << 15) && in.border.left < (1 << 15) &&
         in.border.right < (1 << 15) && in.image() < kMaxBytes;
}

Border conv_border(const Graph& g, const Node& node) {
  const Window window = window_of(g, node);
  return {.top = window.y.pad_begin,
          .left = window.x.pad_begin,
          .bottom = far_edge(window.y),
          .right = far_edge(window.x)};
}

// Where the window of the first output begins, which may be in the border.
int64_t first_tap(const Layout& in, const Window& window) {
  return (in.border.top - window.y.pad_begin) * in.row() +
         (in.border.left - window.x.pad_begin) * in.c;
}

void add_conv(Builder& b, const Node& node) {
  const Graph& g = b.graph();
  const Window window = window_of(g, node);
  const Builder::Placed in = b.use(node.inputs[0], conv_border(g, node));
  const Builder::Placed out = b.define(node.outputs[0]);
  const int64_t channels = out.layout.c;
  auto step = std::make_unique<ConvStep>(b.node_index(),
                                         exact_of(g, node, channels, Product::kConvolution));
  step->in = in.slot;
  step->out = out.slot;
  step->in_offset = first_tap(in.layout, window);
  step->out_offset = out.layout.origin();
  step->shape = {.images = in.layout.images,
                 .out_h = window.y.out,
                 .out_w = window.x.out,
                 .in_image = in.layout.image(),
                 .in_row = window.y.stride * in.layout.row(),
                 .in_pixel = window.x.stride * in.layout.c,
                 .out_image = out.layout.image(),
                 .out_row = out.layout.row(),
                 .out_pixel = out.layout.c};
  // A kernel row is one run of bytes unless it is dilated, or reads some of the channels.
  const int64_t groups = groups_of(g, node);
  const int64_t group_bytes = in.layout.c / groups;
  const bool is_run = (window.x.dilation == 1 && groups == 1) || window.x.kernel == 1;
  const int64_t per_row = is_run ? 1 : window.x.kernel;
  step->shape.segments = window.y.kernel * per_row;
  step->shape.segment_bytes = group_bytes * (is_run ? window.x.kernel : 1);
  for (int64_t ky = 0; ky < window.y.kernel; ++ky) {
    for (int64_t kx = 0; kx < per_row; ++kx) {
      step->offsets.push_back(static_cast<int32_t>(ky * window.y.dilation * in.layout.row() +
                                                   kx * window.x.dilation * in.layout.c));
    }
  }
  const bool is_pointwise =
      window.y.kernel == 1 && window.x.kernel == 1 && window.y.stride == 1 && window.x.stride == 1;
  const auto has_sides = [](const Layout& l) { return l.border.left + l.border.right > 0; };
  if (is_pointwise && !has_sides(in.layout) && !has_sides(out.layout)) {
    // Pixels lie side by side throughout an image, or all of them: one long row.
    step->shape.out_w = in.layout.h * in.layout.w;
    step->shape.out_h = 1;
    if (!in.layout.border.any() && !out.layout.border.any()) {
      step->shape.out_w *= in.layout.images;
      step->shape.images = 1;
    }
  }
  add_blocks(b, node, std::move(step), channels, groups, group_bytes);
}

void add_dense(Builder& b, const Node& node) {
  const Graph& g = b.graph();
  const Builder::Placed in = b.use_plain(node.inputs[0]);
  const Builder::Placed out = b.define(node.outputs[0]);
  const int64_t channels = out.layout.c;
  auto step =
      std::make_unique<ConvStep>(b.node_index(), exact_of(g, node, channels, Product::kDense));
  const Layout& to = out.layout;
  step->in = in.slot;
  step->out = out.slot;
  step->out_offset = to.origin();
  step->shape = {.images = to.images,
                 .out_h = to.h,
                 .out_w = to.w,
                 .in_image = to.h * to.w * in.layout.c,
                 .in_row = to.w * in.layout.c,
                 .in_pixel = in.layout.c,
                 .out_image = to.image(),
                 .out_row = to.row(),
                 .out_pixel = channels,
                 .segments = 1,
                 .segment_bytes = in.layout.c};
  if (!to.border.any()) {
    step->shape.out_w = to.images * to.h * to.w;
    step->shape.images = step->shape.out_h = 1;
  }
  step->offsets = {0};
  add_blocks(b, node, std::move(step), channels);
}

bool supports_dense(const Graph& g, const Node& node, bool constant_parameters) {
  return has_int8_operands(g, node, constant_parameters) &&
         ops::int8::zero_of(g.type(node.inputs[1])) == 0 &&
         g.type(node.inputs[0]).shape.rank() >= 1;
}

void add_depthwise(Builder& b, const Node& node) {
  const Graph& g = b.graph();
  const Shape& kernel = g.type(node.inputs[1]).shape;
  // Filters of a single channel are a plain convolution, those of several outputs a grouped one.
  if (kernel[-2] == 1 || kernel[-1] != 1) return add_conv(b, node);
  const Int8Table& table = b.table();
  const Window window = window_of(g, node);
  const Builder::Placed in = b.use(node.inputs[0], conv_border(g, node));
  const Builder::Placed out = b.define(node.outputs[0]);
  const int64_t channels = out.layout.c;
  auto step = std::make_unique<DepthwiseStep>(b.node_index(),
                                              exact_of(g, node, channels, Product::kConvolution));
  step->in = in.slot;
  step->out = out.slot;
  step->in_offset = first_tap(in.layout, window);
  step->out_offset = out.layout.origin();
  step->shape = {.images = in.layout.images,
                 .channels = channels,
                 .out_h = window.y.out,
                 .out_w = window.x.out,
                 .kernel_h = window.y.kernel,
                 .kernel_w = window.x.kernel,
                 .in_image = in.layout.image(),
                 .in_row = window.y.stride * in.layout.row(),
                 .in_pixel = window.x.stride * in.layout.c,
                 .tap_row = window.y.dilation * in.layout.row(),
                 .tap_column = window.x.dilation * in.layout.c,
                 .out_image = out.layout.image(),
                 .out_row = out.layout.row(),
                 .out_pixel = out.layout.c};
  const int8_t* w = g.value(node.inputs[1]).data.values<int8_t>().data();
  step->weights = b.keep(table.depthwise_weight_bytes(step->shape),
                         [&](uint8_t* packed) { table.pack_depthwise(step->shape, w, packed); });
  std::vector<int32_t> lanes;
  for (int64_t l = 0; l < table.depthwise_lanes(step->shape); ++l) {
    lanes.push_back(static_cast<int32_t>(table.depthwise_channel(step->shape, l)));
  }
  std::vector<ChannelForm> forms;
  if (!b.has_packed()) {
    forms = channel_forms(step->exact.of, w, window.y.kernel * window.x.kernel, channels,
                          bias_of(g, node), ops::int8::zero_of(g.type(node.inputs[0])));
  }
  step->requant = b.requantize(lanes, forms, step->exact.of.range(), step->exact.function(),
                               step->exact.of.zero(), true);
  step->depthwise = table.depthwise;
  b.add_step(std::move(step));
}

}  // namespace ew::runtime::int8
