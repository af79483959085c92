// Keras SimpleRNN.
#include "formats/keras/recurrent.h"

namespace ew::ops {
namespace {

std::vector<formats::KerasTensor> layer(formats::LayerContext& c) {
  return formats::build_recurrent(c, {{&kSimpleRnn, &c.config, "cell"}});
}

const formats::KerasLayer kLayers[] = {{"SimpleRNN", layer}};

}  // namespace

extern const formats::OpIo simple_rnn_io{.keras_layers = kLayers};

}  // namespace ew::ops
