// Padding, cropping, and blocks of pixels as channels.
#include <algorithm>
#include <limits>

#include "formats/onnx/handlers.h"

namespace ew::formats::onnx {

namespace {

// Copies of the border: per dimension an index list into x.
ValueId pad_by_index(Call& c, ValueId x, int axis, int64_t before, int64_t after,
                     const std::string& mode) {
  const int64_t size = c.shape(x)[axis];
  if (size == kUnknown) {
    c.need_static(x, "the padded size");
    return kNoValue;
  }
  if (size <= 0) {
    c.fail("cannot pad an empty dimension with mode ", mode);
    return kNoValue;
  }
  std::vector<int64_t> ids;
  const int64_t period = mode == "reflect" ? 2 * (size - 1) : size;
  for (int64_t i = -before; i < size + after; ++i) {
    int64_t at = std::clamp<int64_t>(i, 0, size - 1);
    if (mode != "edge") {
      at = period == 0 ? 0 : ((i % period) + period) % period;
      if (at >= size) at = period - at;
    }
    ids.push_back(at);
  }
  std::vector<int64_t> perm;
  for (int d = 0; d < c.rank(x); ++d) perm.push_back(d == 0 ? axis : d == axis ? 0 : d);
  const ValueId rows = c.emit(ops::kGather, {c.transpose(x, perm), c.ints_constant(ids)});
  return c.transpose(rows, perm);
}

}  // namespace

void read_pad(Call& c) {
  const ValPtr value = c.val(0);
  const bool by_attribute = c.opset() < 11;
  const std::string mode = c.text("mode", "constant");
  std::vector<int64_t> pads = by_attribute ? c.ints("pads") : c.known_ints(1, "pads");
  std::vector<int64_t> axes = c.has(3) ? c.known_ints(3, "axes") : std::vector<int64_t>();
  double fill = by_attribute ? c.number("value", 0) : 0;
  if (!by_attribute && c.has(2)) fill = c.known_number(2, "the value");
  if (!c.ok()) return;
  const bool is_last = mode == "constant" && axes.empty() && value->form[kLast] != kNoValue &&
                       value->form[kPlain] == kNoValue;
  ValueId x = is_last ? value->form[kLast] : c.x();
  if (!c.ok()) return;
  const auto rank = static_cast<size_t>(c.rank(x));
  if (axes.empty()) {
    for (size_t d = 0; d < rank; ++d) axes.push_back(static_cast<int64_t>(d));
  }
  if (pads.size() != 2 * axes.size()) {
    c.fail("expected ", 2 * axes.size(), " pads, found ", pads);
    return;
  }
  std::vector<int64_t> full(2 * rank, 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    auto d = static_cast<size_t>(c.axis_of(axes[i], x));
    if (!c.ok()) return;
    if (is_last && d > 0) d = d == 1 ? rank - 1 : d - 1;
    full[d] = pads[i];
    full[rank + d] = pads[axes.size() + i];
  }
  for (size_t d = 0; d < rank; ++d) {  // negative pads cut off
    const int64_t before = full[d];
    const int64_t after = full[rank + d];
    if (std::abs(before) > kMaxElements || std::abs(after) > kMaxElements) {
      c.fail("pads ", pads, " out of range");
      return;
    }
    if (before >= 0 && after >= 0) continue;
    x = c.slice(x, static_cast<int>(d), std::max<int64_t>(-before, 0),
                after < 0 ? after : std::numeric_limits<int64_t>::max());
    full[d] = std::max<int64_t>(before, 0);
    full[rank + d] = std::max<int64_t>(after, 0);
  }
  if (mode == "constant") {
    x = c.emit(ops::kPad, {x}, {{"pads", full}, {"value", fill}});
  } else if (mode == "reflect" || mode == "edge" || mode == "wrap") {
    for (size_t d = 0; d < rank && c.ok(); ++d) {
      if (full[d] == 0 && full[rank + d] == 0) continue;
      if (full[d] + full[rank + d] > (int64_t{1} << 20)) {
        c.fail("pads ", pads, " out of range");
        return;
      }
      x = pad_by_index(c, x, static_cast<int>(d), full[d], full[rank + d], mode);
    }
  } else {
    c.fail("mode: expected constant, reflect, edge or wrap, found '", mode, "'");
  }
  c.set(0, x, is_last ? kLast : kPlain);
}

void read_center_crop_pad(Call& c) {
  ValueId x = c.x();
  const std::vector<int64_t> target = c.known_ints(1, "the shape");
  std::vector<int64_t> axes = c.ints("axes");
  if (!c.ok()) return;
  if (axes.empty()) {
    for (int d = 0; d < c.rank(x); ++d) axes.push_back(d);
  }
  if (axes.size() != target.size()) {
    c.fail("expected ", axes.size(), " sizes, found ", target);
    return;
  }
  std::vector<int64_t> pads(2 * static_cast<size_t>(c.rank(x)), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const int d = c.axis_of(axes[i], x);
    if (!c.ok()) return;
    const int64_t size = c.shape(x)[d];
    if (size == kUnknown || target[i] < 0 || target[i] > kMaxElements) {
      c.fail("cannot bring dimension ", d, " of ", c.shape(x), " to ", target[i]);
      return;
    }
    if (size > target[i]) {
      const int64_t begin = (size - target[i]) / 2;
      x = c.slice(x, d, begin, begin + target[i]);
    } else {
      pads[static_cast<size_t>(d)] = (target[i] - size) / 2;
      pads[static_cast<size_t>(c.rank(x) + d)] = target[i] - size - (target[i] - size) / 2;
    }
  }
  c.set(0, c.emit(ops::kPad, {x}, {{"pads", pads}, {"value", 0.0}}));
}

namespace {

// Space to depth and back are a reshape, a transposition and a reshape.
ValueId blocks(Call& c, ValueId x, const std::vector<int64_t>& split,
               const std::vector<int64_t>& perm, const std::vector<int64_t>& joined) {
  return c.reshape(c.transpose(c.reshape(x, split), perm), joined);
}

}  // namespace

void read_depth_to_space(Call& c) {
  const ValueId x = c.x();
  const int64_t b = c.integer("blocksize", 1);
  if (!c.need_static(x, "the shape")) return;
  const Shape s = c.shape(x);
  if (s.rank() != 4 || b < 1 || b > 4096 || s[1] % (b * b) != 0) {
    c.fail("cannot spread ", s, " by blocks of ", b);
    return;
  }
  const int64_t depth = s[1] / (b * b);
  const std::vector<int64_t> joined{s[0], depth, s[2] * b, s[3] * b};
  if (c.text("mode", "DCR") == "CRD") {
    c.set(0, blocks(c, x, {s[0], depth, b, b, s[2], s[3]}, {0, 1, 4, 2, 5, 3}, joined));
  } else {
    c.set(0, blocks(c, x, {s[0], b, b, depth, s[2], s[3]}, {0, 3, 4, 1, 5, 2}, joined));
  }
}

void read_space_to_depth(Call& c) {
  const ValueId x = c.x();
  const int64_t b = c.integer("blocksize", 1);
  if (!c.need_static(x, "the shape")) return;
  const Shape s = c.shape(x);
  if (s.rank() != 4 || b < 1 || b > kMaxElements || s[2] % b != 0 || s[3] % b != 0) {
    c.fail("cannot gather ", s, " by blocks of ", b);
    return;
  }
  c.set(0, blocks(c, x, {s[0], s[1], s[2] / b, b, s[3] / b, b}, {0, 3, 5, 1, 2, 4},
                  {s[0], s[1] * b * b, s[2] / b, s[3] / b}));
}

}  // namespace ew::formats::onnx
