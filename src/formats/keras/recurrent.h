#pragma once
// Keras' recurrent layers: the flags that SimpleRNN, LSTM, GRU and RNN share.

#include "formats/keras/lowering.h"

namespace ew::formats {

/// One recurrent cell of a layer: its operator, its own config, where `.keras` keeps its weights.
struct RecurrentCellConfig {
  const ir::OpDef* op = nullptr;
  const Config* config = nullptr;
  std::string sublayer;
};

/// A layer of stacked cells (one for LSTM and its like) with the flags of c.config.
std::vector<KerasTensor> build_recurrent(LayerContext& c,
                                         const std::vector<RecurrentCellConfig>& cells);

}  // namespace ew::formats
