// Keras Flatten and Reshape.
#include <algorithm>

#include "formats/keras/spatial.h"

namespace ew::ops {
namespace {

using formats::drops_mask;
using formats::LayerContext;

Result<ValueId> flatten(LayerContext& c) {
  EW_TRY(ValueId x, formats::sole_input(c));
  EW_TRY(const bool channels_first, formats::is_channels_first(c.config));
  const int rank = c.b.shape(x).rank();
  if (rank < 1) return invalid_data("expected an input with a batch dimension");
  if (channels_first && rank > 2) x = formats::to_channels_last(c.b, x);
  const std::vector<int64_t> target =
      rank == 1 ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{0, -1};
  return c.b.add(kReshape, {x}, {{"shape", target}});
}

Result<ValueId> reshape(LayerContext& c) {
  EW_TRY(const ValueId x, formats::sole_input(c));
  EW_TRY(std::vector<int64_t> target, c.config.get_ints("target_shape", {}));
  const bool fits = std::all_of(target.begin(), target.end(),
                                [](int64_t d) { return d == -1 || (d > 0 && d <= kMaxElements); });
  if (!fits) return invalid_data("target_shape: expected positive sizes or -1, found ", target);
  target.insert(target.begin(), 0);  // the batch
  return c.b.add(kReshape, {x}, {{"shape", target}});
}

const formats::KerasLayer kLayers[] = {{"Flatten", drops_mask<flatten>},
                                       {"Reshape", drops_mask<reshape>}};

}  // namespace

extern const formats::OpIo reshape_io{.keras_layers = kLayers};

}  // namespace ew::ops
