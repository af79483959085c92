// Keras MaxPooling1D to 3D and GlobalMaxPooling1D to 3D.
#include "formats/keras/spatial.h"

namespace ew::ops {
namespace {

using formats::drops_mask;
using formats::LayerContext;

template <int kRank>
Result<ValueId> pool(LayerContext& c) {
  return formats::lower_pool(c, kRank, kMaxPool);
}

template <int kRank>
Result<ValueId> global_pool(LayerContext& c) {
  return formats::lower_global_pool(c, kRank, kReduceMax);
}

const formats::KerasLayer kLayers[] = {
    {"MaxPooling1D", drops_mask<pool<1>>},
    {"MaxPooling2D", drops_mask<pool<2>>},
    {"MaxPooling3D", drops_mask<pool<3>>},
    {"MaxPool1D", drops_mask<pool<1>>},
    {"MaxPool2D", drops_mask<pool<2>>},
    {"MaxPool3D", drops_mask<pool<3>>},
    {"GlobalMaxPooling1D", drops_mask<global_pool<1>>},
    {"GlobalMaxPooling2D", drops_mask<global_pool<2>>},
    {"GlobalMaxPooling3D", drops_mask<global_pool<3>>},
    {"GlobalMaxPool1D", drops_mask<global_pool<1>>},
    {"GlobalMaxPool2D", drops_mask<global_pool<2>>},
    {"GlobalMaxPool3D", drops_mask<global_pool<3>>},
};

}  // namespace

extern const formats::OpIo max_pool_io{.keras_layers = kLayers};

}  // namespace ew::ops
