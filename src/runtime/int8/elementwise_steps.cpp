// Sums, tables, softmax, changes of type and of layout as steps of a region.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "ops/unary/unary_i8.h"
#include "runtime/int8/builder.h"
#include "runtime/int8/prove_sum.h"

namespace ew::runtime::int8 {
namespace {

using ir::Graph;
using ir::Node;
using kernels::int8::AddForm;
using kernels::int8::Rows;
using ops::int8::scale_of;
using ops::int8::scale_twice_rounded;
using ops::int8::zero_of;

bool is_int8_to_int8(const Graph& g, const Node& node) {
  return is_int8(g, node.inputs[0]) && is_int8(g, node.outputs[0]);
}

/// Calls f(x row, y row, bytes) for rows [first, last) of two values of one shape.
template <typename F>
void for_rows(const Builder::Placed& in, const Builder::Placed& out, uint8_t* const* slots,
              int64_t first, int64_t last, F f) {
  const Layout& a = in.layout;
  for (int64_t i = first; i < last; ++i) {
    f(slots[in.slot] + a.at(i / a.h, i % a.h), slots[out.slot] + out.layout.at(i / a.h, i % a.h),
      a.w * a.c);
  }
}

using ByteTable = std::array<uint8_t, 256>;

void add_table(Builder& b, const Node& node, const ops::int8::Table& stored) {
  ByteTable bytes;
  for (size_t i = 0; i < 256; ++i) bytes[i] = static_cast<uint8_t>(stored[i] + 128);
  const Builder::Placed in = b.use_any(node.inputs[0]);
  const Builder::Placed out = b.define(node.outputs[0]);
  b.shared_step(row_share(in.layout, kLookUpCost), [bytes, in, out](uint8_t* const* slots,
                                                                    int64_t first, int64_t last) {
    for_rows(in, out, slots, first, last, [&](const uint8_t* x, uint8_t* y, int64_t n) {
      for (int64_t i = 0; i < n; ++i) y[i] = bytes[x[i]];
    });
  });
}

}  // namespace

bool supports_sum(const Graph& g, const Node& node, bool) {
  return is_int8_to_int8(g, node) && is_int8(g, node.inputs[1]) &&
         g.type(node.inputs[0]).shape == g.type(node.inputs[1]).shape;
}

void add_sum(Builder& b, const Node& node) {
  const Graph& g = b.graph();
  const ir::TensorType& a = g.type(node.inputs[0]);
  const ir::TensorType& c = g.type(node.inputs[1]);
  const ir::TensorType& to = g.type(node.outputs[0]);
  const ExactSum exact{.scales = ops::sum_scales(a, c, to),
                       .zero_a = zero_of(a),
                       .zero_b = zero_of(c),
                       .zero = zero_of(to),
                       .sign = node.op == &ops::kAdd ? 1 : -1,
                       .range = ops::int8::clamp_range(node.attrs, to)};
  const Builder::Placed left = b.use_any(node.inputs[0]);
  const Builder::Placed right = b.use_any(node.inputs[1]);
  const Builder::Placed out = b.define(node.outputs[0]);
  AddForm form;
  form.min = static_cast<uint8_t>(exact.range.min + 128);
  form.max = static_cast<uint8_t>(exact.range.max + 128);
  auto is_proved = uint8_t{0};
  const bool may_be_whole = b.table().has_whole_add;
  b.know([&] { is_proved = prove_sum(exact, may_be_whole, form) ? 1 : 0; }, is_proved, form.scale_a,
         form.scale_b, form.offset, form.shift, form.whole_a, form.whole_b, form.start);
  if (is_proved != 0) {
    b.shared_step(row_share(out.layout, kSumCost),
                  [=, add = b.table().add](uint8_t* const* slots, int64_t first, int64_t last) {
                    const Layout& x = left.layout;
                    const Layout& z = right.layout;
                    const Layout& y = out.layout;
                    for_images(x.h, first, last, [&](int64_t n, int64_t row, int64_t rows) {
                      add({.rows = rows, .bytes = x.w * x.c, .in_row = x.row(), .out_row = y.row()},
                          z.row(), form, slots[left.slot] + x.at(n, row),
                          slots[right.slot] + z.at(n, row), slots[out.slot] + y.at(n, row));
                    });
                  });
    return;
  }
  struct Parts {
    std::array<int32_t, 256> a;
    std::array<int32_t, 256> b;
  };
  Parts parts;
  for (int q = 0; q < 256; ++q) {
    parts.a[static_cast<size_t>(q)] = exact.part_a(q - 128);
    parts.b[static_cast<size_t>(q)] = exact.part_b(q - 128);
  }
  b.shared_step(
      row_share(out.layout, kLookUpCost), [=](uint8_t* const* slots, int64_t first, int64_t last) {
        const Layout& l = left.layout;
        for (int64_t r = first; r < last; ++r) {
          const uint8_t* x = slots[left.slot] + l.at(r / l.h, r % l.h);
          const uint8_t* other = slots[right.slot] + right.layout.at(r / l.h, r % l.h);
          uint8_t* y = slots[out.slot] + out.layout.at(r / l.h, r % l.h);
          for (int64_t i = 0; i < l.w * l.c; ++i) {
            y[i] = static_cast<uint8_t>(exact.whole(parts.a[x[i]], parts.b[other[i]]) + 128);
          }
        }
      });
}

bool supports_unary(const Graph& g, const Node& node, bool) {
  return is_int8_to_int8(g, node) && ops::unary_reference_i8(node.op->name) != nullptr;
}

void add_unary(Builder& b, const Node& node) {
  const Graph& g = b.graph();
  add_table(
      b, node,
      ops::unary_table(*node.op, g.type(node.inputs[0]), g.type(node.outputs[0]), node.attrs));
}

bool supports_quantize(const Graph& g, const Node& node, bool) {
  if (!is_int8(g, node.outputs[0])) return false;
  const ir::TensorType& from = g.type(node.inputs[0]);
  return is_int8(g, node.inputs[0]) || (from.dtype == DType::kF32 && !from.quant);
}

void add_quantize(Builder& b, const Node& node) {
  const Graph& g = b.graph();
  const ir::TensorType& to = g.type(node.outputs[0]);
  if (is_int8(g, node.inputs[0])) {
    const ir::TensorType& from = g.type(node.inputs[0]);
    const ops::int8::Multiplier m =
        ops::int8::quantize_multiplier(double{scale_of(from)} / double{scale_of(to)});
    ops::int8::Table table;
    for (int q = -128; q < 128; ++q) {
      const int64_t scaled = scale_twice_rounded(q - zero_of(from), m);
      table[static_cast<size_t>(q + 128)] =
          static_cast<int8_t>(std::clamp<int64_t>(scaled + zero_of(to), -128, 127));
    }
    return add_table(b, node, table);
  }
  const Slot in = b.outside_input(node.inputs[0]);
  const Builder::Placed out = b.define(node.outputs[0]);
  b.shared_step(row_share(out.layout, kSumCost),
                [in, out, scale = scale_of(to), zero = zero_of(to), quantize = b.table().quantize](
                    uint8_t* const* slots, int64_t first, int64_t last) {
                  const Layout& l = out.layout;
                  const int64_t n = l.w * l.c;
                  const auto* x = reinterpret_cast<const float*>(slots[in]);
                  for (int64_t i = first; i < last; ++i) {
                    quantize(n, x + i * n, scale, zero, slots[out.slot] + l.at(i / l.h, i % l.h));
                  }
                });
}

bool supports_dequantize(const Graph& g, const Node& node, bool) {
  return is_int8(g, node.inputs[0]) && g.type(node.outputs[0]).dtype == DType::kF32;
}

void add_dequantize(Builder& b, const Node& node) {
  const ir::TensorType& from = b.graph().type(node.inputs[0]);
  const Builder::Placed in = b.use_any(node.inputs[0]);
  const Slot out = b.outside_output(node.outputs[0]);
  b.shared_step(row_share(in.layout), [in, out, scale = scale_of(from), zero = zero_of(from) + 128,
                                       dequantize = b.table().dequantize](
                                          uint8_t* const* slots, int64_t first, int64_t last) {
    const Layout& l = in.layout;
    const int64_t n = l.w * l.c;
    auto* y = reinterpret_cast<float*>(slots[out]);
    for (int64_t i = first; i < last; ++i) {
      dequantize(n, slots[in.slot] + l.at(i / l.h, i % l.h), scale, zero, y + i * n);
    }
  });
}

bool supports_reshape(const Graph& g, const Node& node, bool) { return is_int8_to_int8(g, node); }

// The bytes are shared: nothing is left to run, but the input must be there.
void add_reshape(Builder& b, const Node& node) { b.use_any(node.inputs[0]); }

bool supports_pad(const Graph& g, const Node& node, bool) { return is_int8_to_int8(g, node); }

void add_pad(Builder& b, const Node& node) {
  const Graph& g = b.graph();
  const ir::TensorType& from = g.type(node.inputs[0]);
  const Builder::Placed in = b.use_plain(node.inputs[0]);
  const Builder::Placed out = b.define(node.outputs[0]);
  // As the definition: the value in steps, to the nearest even, then as an integer.
  const double stored = std::nearbyint(node.attrs.number("value") / double{scale_of(from)}) +
                        static_cast<double>(zero_of(from));
  int8_t fill = 0;
  convert_elements(DType::kF64, &stored, DType::kI8, &fill, 1);
  const auto byte = static_cast<uint8_t>(fill + 128);
  // Rows of the last dimension: where each lies in the output.
  const Shape& a = from.shape;
  const Shape& c = g.type(node.outputs[0]).shape;
  const std::vector<int64_t>& pads = node.attrs.ints("pads");
  const int64_t row = a.rank() == 0 ? 1 : a[-1];
  std::vector<int64_t> places;
  const std::vector<int64_t> strides = strides_of(c);
  const Layout l = out.layout;
  for (int64_t i = 0; i < a.num_elements(); i += row) {
    int64_t rest = i;
    int64_t at = 0;
    for (int d = a.rank() - 1; d >= 0; --d) {
      at += (rest % a[d] + pads[static_cast<size_t>(d)]) * strides[static_cast<size_t>(d)];
      rest /= a[d];
    }
    // From the plain position to the one inside the border.
    const int64_t line = l.w * l.c;
    const int64_t image = at / (l.h * line);
    const int64_t y = at / line % l.h;
    places.push_back(image * l.image() + l.origin() + y * l.row() + at % line);
  }
  b.step([=](uint8_t* const* slots) {
    uint8_t* y = slots[out.slot];
    for (int64_t n = 0; n < l.images; ++n) {
      for (int64_t line = 0; line < l.h; ++line) {
        std::memset(y + n * l.image() + l.origin() + line * l.row(), byte,
                    static_cast<size_t>(l.w * l.c));
      }
    }
    const uint8_t* x = slots[in.slot];
    for (const int64_t place : places) {
      std::memcpy(y + place, x, static_cast<size_t>(row));
      x += row;
    }
  });
}

bool supports_concat(const Graph& g, const Node& node, bool) {
  if (!is_int8(g, node.outputs[0])) return false;
  return std::all_of(node.inputs.begin(), node.inputs.end(),
                     [&](ir::ValueId id) { return is_int8(g, id); });
}

namespace {

// Bytes of one input of a concatenation as bytes of its output.
struct Rescale {
  ByteTable table;
  bool is_copy = true;

  Rescale(const ir::TensorType& from, const ir::TensorType& to) {
    const ops::int8::Multiplier m =
        ops::int8::quantize_multiplier(double{scale_of(from)} / double{scale_of(to)});
    for (int q = -128; q < 128; ++q) {
      const int64_t scaled = scale_twice_rounded(q - zero_of(from), m);
      const auto stored = std::clamp<int64_t>(scaled + zero_of(to), -128, 127);
      table[static_cast<size_t>(q + 128)] = static_cast<uint8_t>(stored + 128);
      is_copy &= stored == q;
    }
  }
  void operator()(const uint8_t* x, uint8_t* y, int64_t n) const {
    if (is_copy) {
      std::memcpy(y, x, static_cast<size_t>(n));
    } else {
      for (int64_t i = 0; i < n; ++i) y[i] = table[x[i]];
    }
  }
};

// Along the channels: pixel by pixel.
void add_channel_concat(Builder& b, const Node& node) {
  const Graph& g = b.graph();
  std::vector<Builder::Placed> parts;
  for (const ir::ValueId id : node.inputs) parts.push_back(b.use_any(id));
  const Builder::Placed out = b.define(node.outputs[0]);
  int64_t first = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Rescale rescale(g.type(node.inputs[i]), g.type(node.outputs[0]));
    const Builder::Placed in = parts[i];
    b.shared_step(row_share(in.layout), [=](uint8_t* const* slots, int64_t begin, int64_t end) {
      for_rows(in, out, slots, begin, end, [&](const uint8_t* x, uint8_t* y, int64_t) {
        const int64_t c = in.layout.c;
        for (int64_t p = 0; p < in.layout.w; ++p) {
          rescale(x + p * c, y + first + p * out.layout.c, c);
        }
      });
    });
    first += in.layout.c;
  }
}

}  // namespace

void add_concat(Builder& b, const Node& node) {
  const Graph& g = b.graph();
  const Shape& shape = g.type(node.outputs[0]).shape;
  const int axis = *normalize_axis(node.attrs.integer("axis"), shape.rank());
  if (axis == shape.rank() - 1) return add_channel_concat(b, node);
  // Along another axis: runs of plain bytes.
  std::vector<Builder::Placed> parts;
  for (const ir::ValueId id : node.inputs) parts.push_back(b.use_plain(id));
  const Builder::Placed out = b.define(node.outputs[0]);
  const int64_t images = shape.product(0, axis);
  const int64_t row = shape.product(axis, shape.rank());
  int64_t first = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Rescale rescale(g.type(node.inputs[i]), g.type(node.outputs[0]));
    const int64_t bytes = g.type(node.inputs[i]).shape.product(axis, shape.rank());
    constexpr int64_t kPiece = 4096;
    const int64_t pieces = (bytes + kPiece - 1) / kPiece;
    b.shared_step(
        {.units = images * pieces, .cost = kCopyCost * images * bytes},
        [=, in = parts[i].slot, to = out.slot](uint8_t* const* slots, int64_t begin, int64_t end) {
          for (int64_t unit = begin; unit < end; ++unit) {
            const int64_t n = unit / pieces;
            const int64_t at = unit % pieces * kPiece;
            rescale(slots[in] + n * bytes + at, slots[to] + first + n * row + at,
                    std::min(kPiece, bytes - at));
          }
        });
    first += bytes;
  }
}

bool supports_softmax(const Graph& g, const Node& node, bool) {
  const int rank = g.type(node.inputs[0]).shape.rank();
  const int64_t axis = node.attrs.integer("axis");
  return is_int8_to_int8(g, node) && (axis == -1 || axis == rank - 1);
}

// As the definition (ops/softmax), with the exponentials of all 256 differences in a table.
void add_softmax(Builder& b, const Node& node) {
  constexpr int kDifferenceBits = 5;
  constexpr int kSumBits = 12;
  const ir::TensorType& from = b.graph().type(node.inputs[0]);
  const double factor = double{scale_of(from)} * (1 << (31 - kDifferenceBits));
  const ops::int8::Multiplier m =
      ops::int8::quantize_multiplier(std::min(factor, static_cast<double>((int64_t{1} << 31) - 1)));
  const int32_t smallest = -ops::int8::input_radius(kDifferenceBits, m.shift);
  struct Tables {
    std::array<int32_t, 256> exponential;  // of -i; 0 beyond the radius
    std::array<int32_t, 256> share;        // what it adds to the sum
    int reach = 0;                         // differences from 0 to reach count
  };
  Tables t;
  for (int i = 0; i < 256; ++i) {
    const bool counts = -i >= smallest;
    const auto at = static_cast<size_t>(i);
    t.exponential[at] =
        counts ? ops::int8::exp_negative(scale_twice_rounded(-i, m), kDifferenceBits) : 0;
    t.share[at] = counts ? ops::int8::rounding_shift_right(t.exponential[at], kSumBits) : 0;
    if (counts) t.reach = i;
  }
  const Builder::Placed in = b.use_any(node.inputs[0]);
  const Builder::Placed out = b.define(node.outputs[0]);
  const int64_t rows = in.layout.images * in.layout.h;
  const Share units{.units = rows, .cost = kSumCost * rows * in.layout.w * in.layout.c};
  b.shared_step(units, [t, in, out](uint8_t* const* slots, int64_t first, int64_t last) {
    const int64_t c = in.layout.c;
    for_rows(in, out, slots, first, last, [&](const uint8_t* x, uint8_t* y, int64_t bytes) {
      for (const uint8_t* end = x + bytes; x < end; x += c, y += c) {
        const int max = *std::max_element(x, x + c);
        int64_t sum = 0;
        for (int64_t i = 0; i < c; ++i) sum += t.share[static_cast<size_t>(max - x[i])];
        sum = std::clamp<int64_t>(sum, 1, std::numeric_limits<int32_t>::max());
        int exponent = 0;
        const int32_t scale = ops::int8::reciprocal(static_cast<int32_t>(sum), kSumBits, exponent);
        for (int64_t i = 0; i < c; ++i) {
          const int difference = max - x[i];
          int32_t stored = 0;
          if (difference <= t.reach) {
            const int32_t share =
                ops::int8::high_multiply(scale, t.exponential[static_cast<size_t>(difference)]);
            stored = ops::int8::rounding_shift_right(share, exponent + 31 - 8);
          }
          y[i] = static_cast<uint8_t>(std::clamp(stored, 0, 255));
        }
      }
    });
  });
}

}  // namespace ew::runtime::int8
