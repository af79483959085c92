// Keras ConvLSTM1D, 2D and 3D: an LSTM whose products are convolutions, unrolled over time. The
// input convolution of all steps is one; one spatial dimension is run as two, the first of size 1.
#include <algorithm>

#include "formats/keras/lowering.h"

namespace ew::ops {
namespace {

using formats::KerasTensor;
using formats::LayerContext;

struct Layer {
  int rank = 2;
  bool channels_first = false;
  bool return_sequences = false;
  bool return_state = false;
  bool go_backwards = false;
  int64_t filters = 0;
  int64_t steps = 0;
  std::vector<int64_t> kernel, strides, dilations;
  std::string padding;
  double dropout = 0;
  double recurrent_dropout = 0;
};

Result<Layer> read_layer(const LayerContext& c, const Shape& x) {
  Layer l;
  l.rank = c.class_name[8] - '0';  // "ConvLSTM2D"
  const auto rank = static_cast<size_t>(l.rank);
  const Config& config = c.config;
  EW_TRY(l.filters, config.get_int("filters", 0));
  EW_TRY(l.kernel, config.get_ints("kernel_size", {}, rank));
  EW_TRY(l.strides, config.get_ints("strides", std::vector<int64_t>(rank, 1), rank));
  EW_TRY(l.dilations, config.get_ints("dilation_rate", std::vector<int64_t>(rank, 1), rank));
  EW_TRY(l.padding, config.get_string("padding", "valid"));
  EW_TRY(l.dropout, config.get_double("dropout", 0));
  EW_TRY(l.recurrent_dropout, config.get_double("recurrent_dropout", 0));
  l.channels_first = config["data_format"].as_string() == "channels_first";
  l.return_sequences = config["return_sequences"].as_bool();
  l.return_state = config["return_state"].as_bool();
  l.go_backwards = config["go_backwards"].as_bool();
  if (l.filters < 1 || l.filters > kMaxElements / 8 || l.kernel.size() != rank ||
      l.strides.size() != rank || l.dilations.size() != rank) {
    return invalid_data("filters, kernel_size, strides or dilation_rate do not fit ", l.rank,
                        " spatial dimensions");
  }
  if (config["stateful"].as_bool()) return unsupported("a stateful convolutional LSTM");
  if (x.rank() != l.rank + 3) {
    return invalid_data("expected an input of rank ", l.rank + 3, ", found ", x);
  }
  for (int d = 1; d < x.rank(); ++d) {
    if (x[d] == kUnknown) {
      return unsupported("a convolutional LSTM is unrolled and needs known sizes, found ", x);
    }
  }
  l.steps = x[1];
  if (l.steps < 1 || l.steps > 4096) return unsupported("unrolling ", l.steps, " steps");
  return l;
}

class ConvLstm {
 public:
  ConvLstm(LayerContext& c, Layer layer) : c_(c), b_(c.b), l_(std::move(layer)) {}

  std::vector<KerasTensor> build() {
    const ValueId mask = formats::input_mask(c_);
    const std::vector<ValueId> parts = input_parts();
    if (!b_.ok()) return {};
    start_states();
    std::vector<ValueId> outputs;
    for (int64_t i = 0; i < l_.steps && b_.ok(); ++i) {
      const int64_t t = l_.go_backwards ? l_.steps - 1 - i : i;
      step(parts[static_cast<size_t>(t)], mask == kNoValue ? kNoValue : mask_at(mask, t));
      outputs.push_back(close(output_));
    }
    if (!b_.ok()) return {};
    std::vector<KerasTensor> out;
    if (l_.return_sequences)
      out.push_back({formats::stack(b_, outputs, 1), mask});
    else
      out.push_back({outputs.back(), kNoValue});
    if (l_.return_state) {
      out.push_back({close(h_), kNoValue});
      out.push_back({close(c_state_), kNoValue});
    }
    return out;
  }

 private:
  // [k..., in, 4 filters], with a first size of 1 for one spatial dimension.
  ValueId weight(const char* name, const char* prefix, int64_t channels) {
    Shape shape(l_.kernel);
    shape.dims().push_back(channels);
    shape.dims().push_back(4 * l_.filters);
    const ValueId w = c_.weight(name, shape, {.sublayer = "cell", .config_prefix = prefix});
    return l_.rank == 1 ? formats::expand_dims(b_, w, 0) : w;
  }

  Attrs window(std::vector<int64_t> strides, std::vector<int64_t> dilations,
               const std::string& padding) const {
    if (l_.rank == 1) {
      strides.insert(strides.begin(), 1);
      dilations.insert(dilations.begin(), 1);
    }
    return {{"strides", strides}, {"dilations", dilations}, {"padding", padding}};
  }

  // The four gates' input part for every step: [B, spatial..., 4 filters] each.
  std::vector<ValueId> input_parts() {
    ValueId x = c_.inputs[0].value;
    if (l_.channels_first) {
      std::vector<int64_t> perm = {0, 1};
      for (int d = 0; d < l_.rank; ++d) perm.push_back(d + 3);
      perm.push_back(2);
      x = formats::transpose(b_, x, perm);
    }
    const Shape shape = b_.shape(x);
    if (l_.dropout > 0) {
      std::vector<int64_t> noise(static_cast<size_t>(shape.rank()), -1);
      noise[1] = 1;  // the same elements in every step
      x = b_.add(kDropout, {x}, {{"rate", l_.dropout}, {"noise_shape", noise}});
    }
    const ValueId kernel = weight("kernel", "kernel", shape[-1]);
    recurrent_ = weight("recurrent_kernel", "recurrent", l_.filters);
    const ValueId bias =
        c_.config["use_bias"].as_bool(true)
            ? c_.weight("bias", {4 * l_.filters}, {.sublayer = "cell", .config_prefix = "bias"})
            : kNoValue;
    std::vector<int64_t> joined = {-1};
    if (l_.rank == 1) joined.push_back(1);
    joined.insert(joined.end(), shape.begin() + 2, shape.end());
    const ValueId flat = b_.add(kReshape, {x}, {{"shape", joined}});
    const ValueId y =
        b_.add(kConv, {flat, kernel, bias}, window(l_.strides, l_.dilations, l_.padding));
    const ValueId steps = b_.add(kReshapeLike, {y, x});
    std::vector<ValueId> parts;
    for (int64_t t = 0; t < l_.steps; ++t) parts.push_back(formats::take(b_, steps, 1, t));
    return parts;
  }

  void start_states() {
    std::vector<KerasTensor> given = formats::keyword_tensors(c_, "initial_state");
    if (given.empty()) given.assign(c_.inputs.begin() + 1, c_.inputs.end());
    if (given.empty()) return;
    if (given.size() != 2) {
      b_.fail(invalid_data("expected two initial states, found ", given.size()));
      return;
    }
    h_ = open(given[0].value);
    c_state_ = open(given[1].value);
  }

  ValueId gate(ValueId all, int64_t index) {
    return formats::slice_axis(b_, all, -1, index * l_.filters, (index + 1) * l_.filters);
  }

  ValueId recurrent_part() {
    ValueId h = h_;
    if (l_.recurrent_dropout > 0) {
      if (keep_ == kNoValue) {
        const ValueId one = b_.scalar(1, b_.type(h).dtype);
        const ValueId ones = b_.add(kWhere, {b_.add(kEqual, {h, h}), one, one});
        keep_ = b_.add(kDropout, {ones}, {{"rate", l_.recurrent_dropout}});
      }
      h = b_.add(kMul, {h, keep_});
    }
    const std::vector<int64_t> ones(static_cast<size_t>(l_.rank), 1);
    return b_.add(kConv, {h, recurrent_}, window(ones, ones, "same"));
  }

  void step(ValueId x_part, ValueId mask) {
    const ValueId all = h_ == kNoValue ? x_part : b_.add(kAdd, {x_part, recurrent_part()});
    const Config& activation = c_.config["activation"];
    const Config& gates = c_.config["recurrent_activation"];
    const ValueId i = c_.activation(gate(all, 0), gates);
    const ValueId g = c_.activation(gate(all, 2), activation);
    ValueId c = b_.add(kMul, {i, g});
    if (c_state_ != kNoValue) {
      const ValueId f = c_.activation(gate(all, 1), gates);
      c = b_.add(kAdd, {b_.add(kMul, {f, c_state_}), c});
    }
    const ValueId o = c_.activation(gate(all, 3), gates);
    const ValueId h = b_.add(kMul, {o, c_.activation(c, activation)});
    output_ = select(mask, h, output_);
    h_ = select(mask, h, h_);
    c_state_ = select(mask, c, c_state_);
  }

  // A masked step keeps what was there, zeros at first.
  ValueId select(ValueId mask, ValueId now, ValueId before) {
    if (mask == kNoValue || !b_.ok()) return now;
    if (before == kNoValue) before = b_.scalar(0, b_.type(now).dtype);
    return b_.add(kWhere, {mask, now, before});
  }

  ValueId mask_at(ValueId mask, int64_t t) {
    ValueId m = formats::slice_axis(b_, mask, 1, t, t + 1);  // [B, 1]
    for (int d = 0; d < std::max(l_.rank, 2); ++d) m = formats::expand_dims(b_, m, -1);
    return m;
  }

  // Between Keras' layout of a state and ours.
  ValueId open(ValueId x) {
    if (l_.channels_first) {
      std::vector<int64_t> perm = {0};
      for (int d = 0; d < l_.rank; ++d) perm.push_back(d + 2);
      perm.push_back(1);
      x = formats::transpose(b_, x, perm);
    }
    return l_.rank == 1 ? formats::expand_dims(b_, x, 1) : x;
  }
  ValueId close(ValueId x) {
    if (l_.rank == 1) x = formats::squeeze(b_, x, 1);
    if (!l_.channels_first) return x;
    std::vector<int64_t> perm = {0, l_.rank + 1};
    for (int d = 1; d <= l_.rank; ++d) perm.push_back(d);
    return formats::transpose(b_, x, perm);
  }

  LayerContext& c_;
  Builder& b_;
  Layer l_;
  ValueId recurrent_ = kNoValue;
  ValueId keep_ = kNoValue;  // dropout of h, one mask for all steps
  ValueId h_ = kNoValue;     // kNoValue: zeros
  ValueId c_state_ = kNoValue;
  ValueId output_ = kNoValue;
};

std::vector<KerasTensor> conv_lstm(LayerContext& c) {
  if (c.inputs.empty()) return c.fail(invalid_data("expected an input"));
  Result<Layer> layer = read_layer(c, c.b.shape(c.inputs[0].value));
  if (!layer.ok()) return c.fail(layer.error());
  return ConvLstm(c, std::move(*layer)).build();
}

const formats::KerasLayer kLayers[] = {
    {"ConvLSTM1D", conv_lstm}, {"ConvLSTM2D", conv_lstm}, {"ConvLSTM3D", conv_lstm}};

}  // namespace

extern const formats::OpIo conv_lstm_io{.keras_layers = kLayers};

}  // namespace ew::ops
