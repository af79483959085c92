// Keras LSTM.
#include "formats/keras/recurrent.h"

namespace ew::ops {
namespace {

std::vector<formats::KerasTensor> layer(formats::LayerContext& c) {
  return formats::build_recurrent(c, {{&kLstm, &c.config, "cell"}});
}

const formats::KerasLayer kLayers[] = {{"LSTM", layer}};

}  // namespace

extern const formats::OpIo lstm_io{.keras_layers = kLayers};

}  // namespace ew::ops
