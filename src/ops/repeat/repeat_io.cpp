// Keras RepeatVector and UpSampling1D to 3D.
#include "formats/keras/spatial.h"

namespace ew::ops {
namespace {

using formats::drops_mask;
using formats::LayerContext;

Result<ValueId> repeat_vector(LayerContext& c) {
  EW_TRY(const ValueId x, formats::sole_input(c));
  EW_TRY(const int64_t n, c.config.get_int("n", 0));
  const Shape shape = c.b.shape(x);
  if (shape.rank() != 2) return invalid_data("expected an input of rank 2, found ", shape);
  const ValueId row = c.b.add(kReshape, {x}, {{"shape", std::vector<int64_t>{0, 1, -1}}});
  return c.b.add(kRepeat, {row}, {{"axis", int64_t{1}}, {"repeats", n}});
}

template <int kRank>
Result<ValueId> up_sampling(LayerContext& c) {
  EW_TRY(const ValueId x, formats::sole_input(c));
  EW_TRY(const bool channels_first, formats::is_channels_first(c.config));
  EW_TRY(const std::vector<int64_t> size,
         c.config.get_ints("size", std::vector<int64_t>(kRank, 2), kRank));
  EW_TRY(const std::string interpolation,
         formats::lower_text(c.config, "interpolation", "nearest"));
  const Shape shape = c.b.shape(x);
  if (shape.rank() != kRank + 2 || size.size() != kRank) {
    return invalid_data("expected an input of rank ", kRank + 2, " and ", kRank, " sizes, found ",
                        shape, " and ", size);
  }
  const int first = channels_first ? 2 : 1;
  if (interpolation == "nearest") {
    ValueId y = x;
    for (int d = 0; d < kRank; ++d) {
      const int64_t repeats = size[static_cast<size_t>(d)];
      if (repeats == 1) continue;
      y = c.b.add(kRepeat, {y}, {{"axis", int64_t{first + d}}, {"repeats", repeats}});
    }
    return y;
  }
  std::vector<int64_t> lengths;
  for (int d = 0; d < kRank; ++d) {
    const int64_t length = shape[first + d];
    const int64_t factor = size[static_cast<size_t>(d)];
    if (length == kUnknown || factor < 1 || factor > kMaxElements || length > kMaxElements) {
      return invalid_data("interpolation '", interpolation, "' needs known sizes, found ", shape,
                          " and ", size);
    }
    lengths.push_back(length * factor);
  }
  const ValueId last = channels_first ? formats::to_channels_last(c.b, x) : x;
  const ValueId y = c.b.add(kResize, {last}, {{"size", lengths}, {"method", interpolation}});
  return channels_first ? formats::to_channels_first(c.b, y) : y;
}

const formats::KerasLayer kLayers[] = {{"RepeatVector", drops_mask<repeat_vector>},
                                       {"UpSampling1D", drops_mask<up_sampling<1>>},
                                       {"UpSampling2D", drops_mask<up_sampling<2>>},
                                       {"UpSampling3D", drops_mask<up_sampling<3>>}};

}  // namespace

extern const formats::OpIo repeat_io{.keras_layers = kLayers};

}  // namespace ew::ops
