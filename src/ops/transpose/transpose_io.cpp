// Keras Permute.
#include "formats/keras/spatial.h"

namespace ew::ops {
namespace {

using formats::drops_mask;
using formats::LayerContext;

// dims count from 1 and leave the batch out.
Result<ValueId> permute(LayerContext& c) {
  EW_TRY(const ValueId x, formats::sole_input(c));
  EW_TRY(std::vector<int64_t> perm, c.config.get_ints("dims", {}));
  perm.insert(perm.begin(), 0);
  return c.b.add(kTranspose, {x}, {{"perm", perm}});
}

const formats::KerasLayer kLayers[] = {{"Permute", drops_mask<permute>}};

}  // namespace

extern const formats::OpIo transpose_io{.keras_layers = kLayers};

}  // namespace ew::ops
