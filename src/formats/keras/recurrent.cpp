#include "formats/keras/recurrent.h"

#include "ops/recurrent.h"

namespace ew::formats {
namespace {

using ops::RecurrentKind;

const RecurrentKind& kind_of(const ir::OpDef& op) {
  if (&op == &ops::kLstm) return ops::kLstmKind;
  return &op == &ops::kGru ? ops::kGruKind : ops::kSimpleRnnKind;
}

/// The flags of the layer around the cells.
struct Flags {
  bool return_sequences, return_state, go_backwards, stateful, time_major, zero_output;

  explicit Flags(const Config& config)
      : return_sequences(config["return_sequences"].as_bool()),
        return_state(config["return_state"].as_bool()),
        go_backwards(config["go_backwards"].as_bool()),
        stateful(config["stateful"].as_bool()),
        time_major(config["time_major"].as_bool()),
        zero_output(config["zero_output_for_mask"].as_bool()) {}
};

struct Weights {
  ValueId kernel, recurrent, bias;
};

Result<Weights> declare_weights(LayerContext& c, const RecurrentCellConfig& cell, int64_t features,
                                int64_t units) {
  const Config& config = *cell.config;
  const int64_t width = kind_of(*cell.op).gates * units;
  const bool is_gru = cell.op == &ops::kGru;
  // Keras before 2.2 had no reset_after and behaved as if it were false.
  const bool reset_after = is_gru && config["reset_after"].as_bool(false);
  const auto options = [&](const char* prefix) {
    return WeightOptions{.sublayer = cell.sublayer, .config_prefix = prefix};
  };
  Weights w{};
  w.kernel = c.weight("kernel", {features, width}, options("kernel"));
  w.recurrent = c.weight("recurrent_kernel", {units, width}, options("recurrent"));
  w.bias = kNoValue;
  if (config["use_bias"].as_bool(true)) {
    w.bias = c.weight("bias", reset_after ? Shape{2, width} : Shape{width}, options("bias"));
  }
  return w;
}

Result<ir::Attrs> cell_attrs(const LayerContext& c, const RecurrentCellConfig& cell) {
  const Config& config = *cell.config;
  ir::Attrs attrs;
  EW_TRY(std::string activation, recurrent_activation_name(config["activation"], c.generation));
  attrs.set("activation", std::move(activation));
  if (cell.op != &ops::kSimpleRnn) {
    EW_TRY(std::string gates,
           recurrent_activation_name(config["recurrent_activation"], c.generation));
    attrs.set("recurrent_activation", std::move(gates));
  }
  if (cell.op == &ops::kGru) attrs.set("reset_after", config["reset_after"].as_bool(false));
  EW_TRY(const double rate, config.get_double("recurrent_dropout", 0));
  attrs.set("recurrent_dropout", rate);
  return attrs;
}

// States are in no file, so nothing but this bounds them.
constexpr int64_t kMaxState = int64_t{1} << 24;

Result<int64_t> units_of(const RecurrentCellConfig& cell) {
  EW_TRY(const int64_t units, cell.config->get_int("units", 0));
  if (units < 1 || units > kMaxElements / 8) {
    return invalid_data("units: expected 1 or more, found ", units);
  }
  return units;
}

/// The initial states of all cells: given ones, those kept from the last batch, or none (zeros).
Result<std::vector<ValueId>> initial_states(LayerContext& c,
                                            const std::vector<RecurrentCellConfig>& cells,
                                            const Flags& flags, int64_t batch,
                                            std::vector<ValueId>& kept) {
  std::vector<int64_t> units;
  for (const RecurrentCellConfig& cell : cells) {
    EW_TRY(const int64_t size, units_of(cell));
    units.insert(units.end(), static_cast<size_t>(kind_of(*cell.op).states), size);
  }
  std::vector<KerasTensor> given = keyword_tensors(c, "initial_state");
  if (given.empty()) given.assign(c.inputs.begin() + 1, c.inputs.end());
  if (!given.empty() && given.size() != units.size()) {
    return invalid_data("expected ", units.size(), " initial states, found ", given.size());
  }
  std::vector<ValueId> states(units.size(), kNoValue);
  for (size_t i = 0; i < given.size(); ++i) states[i] = cast(c.b, given[i].value, c.compute_dtype);
  if (!flags.stateful) return states;
  if (batch == kUnknown) {
    return invalid_data("a stateful layer needs a fixed batch size; the input's is open");
  }
  for (size_t i = 0; i < units.size(); ++i) {
    if (batch > kMaxState / units[i]) {
      return make_error(ErrorCode::kResourceLimit, "the state of a batch of ", batch, " has ",
                        units[i], " elements each, above the limit of ", kMaxState);
    }
    // Keras does not save states, so they have no place in a file.
    ir::ParameterInfo info{.layer = c.name,
                           .name = units.size() > 1 ? str("state_", i) : std::string("state"),
                           .store_path = "",
                           .is_trainable = false,
                           .regularizer = {},
                           .constraint = {}};
    const std::string name = str(c.name, "/", info.name);
    kept.push_back(c.b.parameter(name, ir::Tensor(c.variable_dtype, {batch, units[i]}), info));
    if (given.empty()) states[i] = cast(c.b, kept.back(), c.compute_dtype);
  }
  return states;
}

/// Keras drops the same features in every step.
ValueId input_dropout(LayerContext& c, ValueId x, const Config& config) {
  const Result<double> rate = config.get_double("dropout", 0);
  if (!rate.ok()) return c.b.fail(rate.error());
  if (*rate == 0) return x;
  return c.b.add(ops::kDropout, {x},
                 {{"rate", *rate}, {"noise_shape", std::vector<int64_t>{-1, 1, -1}}});
}

struct Sequence {
  ValueId value;
  std::vector<ValueId> states;
};

Result<Sequence> run_cells(LayerContext& c, const std::vector<RecurrentCellConfig>& cells,
                           const Flags& flags, ValueId x, ValueId mask,
                           const std::vector<ValueId>& initial) {
  Sequence out{x, {}};
  for (size_t i = 0; i < cells.size(); ++i) {
    const RecurrentCellConfig& cell = cells[i];
    EW_TRY(const int64_t units, units_of(cell));
    const int64_t features = c.b.shape(out.value)[2];
    EW_TRY(const Weights w, declare_weights(c, cell, features, units));
    EW_TRY(ir::Attrs attrs, cell_attrs(c, cell));
    const bool is_last = i + 1 == cells.size();
    // The first cell puts the steps in order of processing; the others follow it.
    attrs.set("go_backwards", flags.go_backwards && i == 0);
    attrs.set("return_sequences", flags.return_sequences || !is_last);
    attrs.set("zero_output_for_mask", flags.zero_output && is_last);
    if (i == 1 && flags.go_backwards && mask != kNoValue) mask = reverse(c.b, mask, 1);
    const RecurrentKind& kind = kind_of(*cell.op);
    std::vector<ValueId> inputs = {
        input_dropout(c, out.value, *cell.config), w.kernel, w.recurrent, w.bias, mask, kNoValue};
    const size_t first = out.states.size();
    for (size_t s = 0; s < static_cast<size_t>(kind.states); ++s) {
      inputs.push_back(initial[first + s]);
    }
    const std::vector<ValueId> results = c.b.add_multi(*cell.op, inputs, attrs);
    if (!c.b.ok()) return c.b.status().error();
    out.value = results[0];
    out.states.insert(out.states.end(), results.begin() + 1, results.begin() + 1 + kind.states);
  }
  return out;
}

Result<std::vector<KerasTensor>> build(LayerContext& c,
                                       const std::vector<RecurrentCellConfig>& cells) {
  const Flags flags(c.config);
  if (c.inputs.empty()) return invalid_data("expected an input");
  ValueId x = c.inputs[0].value;
  const ValueId mask = input_mask(c);
  const Shape& shape = c.b.shape(x);
  if (shape.rank() != 3 || shape[2] == kUnknown) {
    return invalid_data("expected an input [batch, steps, features] with known features, found ",
                        shape);
  }
  if (flags.time_major) x = transpose(c.b, x, {1, 0, 2});
  std::vector<ValueId> kept;
  EW_TRY(const std::vector<ValueId> initial,
         initial_states(c, cells, flags, c.b.shape(x)[0], kept));
  EW_TRY(Sequence y, run_cells(c, cells, flags, x, mask, initial));
  for (size_t i = 0; i < kept.size(); ++i) {
    c.b.graph().updates.push_back({kept[i], cast(c.b, y.states[i], c.variable_dtype)});
  }
  if (flags.return_sequences && flags.time_major) y.value = transpose(c.b, y.value, {1, 0, 2});
  std::vector<KerasTensor> out = {{y.value, flags.return_sequences ? mask : kNoValue}};
  if (flags.return_state) {
    for (const ValueId state : y.states) out.push_back({state, kNoValue});
  }
  return out;
}

}  // namespace

std::vector<KerasTensor> build_recurrent(LayerContext& c,
                                         const std::vector<RecurrentCellConfig>& cells) {
  if (!c.b.ok()) return {};
  Result<std::vector<KerasTensor>> out = build(c, cells);
  if (!c.b.ok()) return {};
  return out.ok() ? std::move(*out) : c.fail(out.error());
}

}  // namespace ew::formats
