// Keras ZeroPadding1D to 3D and their counterparts Cropping1D to 3D.
#include <algorithm>

#include "formats/keras/spatial.h"

namespace ew::ops {
namespace {

using formats::drops_mask;
using formats::LayerContext;

struct Borders {
  std::vector<int64_t> begin;  // per spatial dimension
  std::vector<int64_t> end;
};

// Keras writes n, [b, e] for one dimension, [h, w] for symmetric ones, or [[t, b], [l, r]].
Result<Borders> borders_of(const Config& value, const char* key, size_t rank) {
  Borders borders;
  const auto add = [&](const Config& begin, const Config& end) {
    borders.begin.push_back(begin.as_int(-1));
    borders.end.push_back(end.as_int(-1));
  };
  const Config::List& list = value.as_list();
  if (value.is_int()) {
    for (size_t d = 0; d < rank; ++d) add(value, value);
  } else if (rank == 1 && list.size() == 2 && list[0].is_int()) {
    add(list[0], list[1]);
  } else {
    for (const Config& d : list) {
      const Config::List& pair = d.as_list();
      if (d.is_int()) add(d, d);
      if (pair.size() == 2) add(pair[0], pair[1]);
    }
  }
  bool fits = borders.begin.size() == rank && (value.is_int() || rank == 1 || list.size() == rank);
  for (const std::vector<int64_t>* side : {&borders.begin, &borders.end}) {
    fits = fits && std::all_of(side->begin(), side->end(),
                               [](int64_t v) { return v >= 0 && v <= kMaxElements; });
  }
  if (!fits) {
    return invalid_data(key, ": expected pairs of integers of 0 or more for ", rank, " dimensions");
  }
  return borders;
}

// Checks the rank and returns the first spatial axis.
Result<int> first_axis(const LayerContext& c, ValueId x, int rank) {
  EW_TRY(const bool channels_first, formats::is_channels_first(c.config));
  if (c.b.shape(x).rank() != rank + 2) {
    return invalid_data("expected an input of rank ", rank + 2, ", found ", c.b.shape(x));
  }
  return channels_first ? 2 : 1;
}

template <int kRank>
Result<ValueId> zero_padding(LayerContext& c) {
  EW_TRY(const ValueId x, formats::sole_input(c));
  EW_TRY(const int first, first_axis(c, x, kRank));
  EW_TRY(const Borders borders, borders_of(c.config["padding"], "padding", kRank));
  std::vector<int64_t> pads(2 * (kRank + 2), 0);
  for (size_t d = 0; d < kRank; ++d) {
    pads[static_cast<size_t>(first) + d] = borders.begin[d];
    pads[kRank + 2 + static_cast<size_t>(first) + d] = borders.end[d];
  }
  return c.b.add(kPad, {x}, {{"pads", pads}});
}

template <int kRank>
Result<ValueId> cropping(LayerContext& c) {
  EW_TRY(const ValueId x, formats::sole_input(c));
  EW_TRY(const int first, first_axis(c, x, kRank));
  EW_TRY(const Borders borders, borders_of(c.config["cropping"], "cropping", kRank));
  const Shape shape = c.b.shape(x);
  std::vector<int64_t> begin(kRank + 2, 0);
  std::vector<int64_t> end(kRank + 2, kMaxElements);
  for (int d = 0; d < kRank; ++d) {
    const auto at = static_cast<size_t>(first + d);
    const int64_t size = shape[first + d];
    begin[at] = borders.begin[static_cast<size_t>(d)];
    const int64_t cut = borders.end[static_cast<size_t>(d)];
    if (cut > 0) end[at] = -cut;
    if (size != kUnknown && begin[at] + cut >= size) {
      return invalid_data("cropping ", begin[at], " and ", cut, " leaves nothing of ", size);
    }
  }
  return c.b.add(kSlice, {x}, {{"begin", begin}, {"end", end}});
}

const formats::KerasLayer kLayers[] = {
    {"Cropping1D", drops_mask<cropping<1>>},        {"Cropping2D", drops_mask<cropping<2>>},
    {"Cropping3D", drops_mask<cropping<3>>},        {"ZeroPadding1D", drops_mask<zero_padding<1>>},
    {"ZeroPadding2D", drops_mask<zero_padding<2>>}, {"ZeroPadding3D", drops_mask<zero_padding<3>>},
};

}  // namespace

extern const formats::OpIo pad_io{.keras_layers = kLayers};

}  // namespace ew::ops
