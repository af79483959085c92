// Keras GRU.
#include "formats/keras/recurrent.h"

namespace ew::ops {
namespace {

std::vector<formats::KerasTensor> layer(formats::LayerContext& c) {
  return formats::build_recurrent(c, {{&kGru, &c.config, "cell"}});
}

const formats::KerasLayer kLayers[] = {{"GRU", layer}};

}  // namespace

extern const formats::OpIo gru_io{.keras_layers = kLayers};

}  // namespace ew::ops
