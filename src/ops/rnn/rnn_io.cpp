// Keras RNN around LSTMCell, GRUCell, SimpleRNNCell or StackedRNNCells.
#include <map>

#include "formats/keras/recurrent.h"

namespace ew::ops {
namespace {

using formats::LayerContext;
using formats::RecurrentCellConfig;

struct Cell {
  const char* class_name;
  const OpDef* op;
  const char* store_name;  // in `.keras`
};
const Cell kCells[] = {{"LSTMCell", &kLstm, "lstm_cell"},
                       {"GRUCell", &kGru, "gru_cell"},
                       {"SimpleRNNCell", &kSimpleRnn, "simple_rnn_cell"}};

Result<const Cell*> find_cell(const Config& cell) {
  const std::string& name = cell["class_name"].as_string();
  for (const Cell& known : kCells) {
    if (name == known.class_name) return &known;
  }
  return unsupported("cells of class '", name,
                     "' are not supported; known are LSTMCell, GRUCell, SimpleRNNCell and "
                     "StackedRNNCells");
}

Result<std::vector<RecurrentCellConfig>> find_cells(const Config& cell) {
  std::vector<RecurrentCellConfig> cells;
  if (cell["class_name"].as_string() != "StackedRNNCells") {
    EW_TRY(const Cell* known, find_cell(cell));
    cells.push_back({known->op, &cell["config"], "cell"});
    return cells;
  }
  constexpr size_t kMaxCells = 1000;
  const size_t count = cell["config"]["cells"].as_list().size();
  if (count > kMaxCells) return unsupported(count, " stacked cells, at most ", kMaxCells);
  std::map<std::string, int> counts;
  for (const Config& part : cell["config"]["cells"].as_list()) {
    EW_TRY(const Cell* known, find_cell(part));
    const int same = counts[known->store_name]++;
    const std::string name =
        same == 0 ? std::string(known->store_name) : str(known->store_name, "_", same);
    cells.push_back({known->op, &part["config"], "cell/cells/" + name});
  }
  if (cells.empty()) return invalid_data("StackedRNNCells without cells");
  return cells;
}

std::vector<formats::KerasTensor> rnn(LayerContext& c) {
  Result<std::vector<RecurrentCellConfig>> cells = find_cells(c.config["cell"]);
  if (!cells.ok()) return c.fail(cells.error());
  return formats::build_recurrent(c, *cells);
}

const formats::KerasLayer kLayers[] = {{"RNN", rnn}};

}  // namespace

extern const formats::OpIo rnn_io{.keras_layers = kLayers};

}  // namespace ew::ops
