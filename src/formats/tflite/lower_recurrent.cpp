// Recurrent layers over a sequence. Their state begins with zeros in every run; LiteRT keeps it
// between runs until it is told to reset its variables.
#include <array>

#include "formats/tflite/op_context.h"
#include "ops/recurrent.h"

namespace ew::formats::tflite {
namespace {

using ir::Attrs;
using ir::Tensor;

Result<std::string> recurrent_activation_name(Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return std::string("linear");
    case Activation::kRelu:
      return std::string("relu");
    case Activation::kRelu6:
      return std::string("relu6");
    case Activation::kTanh:
      return std::string("tanh");
    default:
      return unsupported("fused activation ", static_cast<int>(activation),
                         " of a recurrent layer; expected none, RELU, RELU6 or TANH");
  }
}

/// A constant float matrix [units, width] of one gate.
Result<Tensor> gate_weights(const OpContext& c, size_t i, int64_t units) {
  EW_TRY([[maybe_unused]] const ValueId id, c.in(i));
  const Tensor* w = c.constant(i);
  if (w == nullptr) return unsupported("input ", i, " is computed at run time; expected weights");
  if (w->type().quant || !is_floating(w->dtype())) {
    return unsupported("recurrent weights of type ", w->type(), "; expected float32");
  }
  if (w->shape().rank() < 1 || w->shape()[0] != units) {
    return invalid_data("input ", i, " has shape ", w->shape(), ", expected ", units, " rows");
  }
  return w->cast(DType::kF32);
}

/// Gates [units, width] side by side as [width, gates * units]; biases [units] as [gates * units].
Result<Tensor> joined_gates(const OpContext& c, std::span<const size_t> gates, int64_t units) {
  std::vector<Tensor> parts;
  for (const size_t i : gates) {
    EW_TRY(Tensor part, gate_weights(c, i, units));
    if (part.shape().rank() > 2 || (!parts.empty() && part.shape() != parts[0].shape())) {
      return invalid_data("input ", i, " has shape ", part.shape(), ", expected that of the other ",
                          "gates, a matrix or a vector");
    }
    parts.push_back(std::move(part));
  }
  const Shape& shape = parts[0].shape();
  const int64_t width = shape.rank() == 2 ? shape[1] : 1;
  const auto columns = static_cast<int64_t>(parts.size()) * units;
  Tensor out(DType::kF32, shape.rank() == 2 ? Shape{width, columns} : Shape{columns});
  const std::span<float> y = out.mutable_values<float>();
  for (size_t g = 0; g < parts.size(); ++g) {
    const std::span<const float> w = parts[g].values<float>();
    for (int64_t u = 0; u < units; ++u) {
      for (int64_t k = 0; k < width; ++k) {
        y[static_cast<size_t>(k * columns + static_cast<int64_t>(g) * units + u)] =
            w[static_cast<size_t>(u * width + k)];
      }
    }
  }
  return out;
}

/// Input i as a first state, or kNoValue if it is a variable, which begins with zeros.
Result<ValueId> first_state(const OpContext& c, size_t i) {
  if (!c.has_input(i) || c.is_variable(i)) return kNoValue;
  return c.in(i);
}

/// x as [batch, steps, features] goes through `op`; the sequence comes back in the file's order.
Result<ValueId> run_sequence(const OpContext& c, const ir::OpDef& op, std::vector<ValueId> in,
                             const Attrs& attrs, bool is_time_major) {
  const Attrs swap{{"perm", std::vector<int64_t>{1, 0, 2}}};
  if (is_time_major) in[0] = c.b.add(ops::kTranspose, {in[0]}, swap);
  const std::vector<ValueId> out = c.b.add_multi(op, in, attrs);
  if (!c.b.ok() || out.empty()) return kNoValue;
  return is_time_major ? c.b.add(ops::kTranspose, {out[0]}, swap) : out[0];
}

int64_t rows_of(const OpContext& c, size_t i) {
  const Tensor* w = c.constant(i);
  return w != nullptr && w->shape().rank() > 0 ? w->shape()[0] : 0;
}

// Inputs: x; weights of the gates input, forget, cell and output; their recurrent weights;
// peepholes (3); biases; projection (2); output state, cell state; layer normalisation (4).
Result<ValueId> unidirectional_sequence_lstm(const OpContext& c) {
  constexpr size_t kGates = 1, kRecurrentGates = 5, kPeepholes = 9, kBiases = 12, kProjection = 16,
                   kOutputState = 18, kCellState = 19, kNorms = 20;
  if (!c.has_input(kGates)) return unsupported("an LSTM whose input gate is coupled to the other");
  for (const size_t i : {kPeepholes, kPeepholes + 1, kPeepholes + 2}) {
    if (c.has_input(i)) return unsupported("an LSTM with peepholes");
  }
  if (c.has_input(kProjection)) return unsupported("an LSTM with a projection");
  for (size_t i = kNorms; i < kNorms + 4; ++i) {
    if (c.has_input(i)) return unsupported("an LSTM with layer normalisation");
  }
  if (c.options.flag(5)) return unsupported("an LSTM with diagonal recurrent weights");
  const auto gates = [&](size_t first) {
    return std::array<size_t, 4>{first, first + 1, first + 2, first + 3};
  };
  const int64_t units = rows_of(c, kGates + 1);
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const ValueId kernel, c.made_weight("kernel", gates(kGates), [&] {
    return joined_gates(c, gates(kGates), units);
  }));
  EW_TRY(const ValueId recurrent, c.made_weight("recurrent_kernel", gates(kRecurrentGates), [&] {
    return joined_gates(c, gates(kRecurrentGates), units);
  }));
  EW_TRY(const ValueId bias, c.made_weight("bias", gates(kBiases),
                                           [&] { return joined_gates(c, gates(kBiases), units); }));
  EW_TRY(const ValueId h, first_state(c, kOutputState));
  EW_TRY(const ValueId cell, first_state(c, kCellState));
  EW_TRY(std::string activation, recurrent_activation_name(c.options.scalar<Activation>(0)));
  return run_sequence(c, ops::kLstm, {x, kernel, recurrent, bias, kNoValue, kNoValue, h, cell},
                      {{"activation", std::move(activation)},
                       {"cell_clip", static_cast<double>(c.options.scalar<float>(1))}},
                      c.options.flag(3));
}

// Inputs: x, weights, recurrent weights, bias, state.
Result<ValueId> unidirectional_sequence_rnn(const OpContext& c) {
  const int64_t units = rows_of(c, 1);
  const auto joined = [&](const char* name, size_t i) {
    const std::array<size_t, 1> gate{i};
    return c.made_weight(name, gate, [&] { return joined_gates(c, gate, units); });
  };
  EW_TRY(const ValueId x, c.in(0));
  EW_TRY(const ValueId kernel, joined("kernel", 1));
  EW_TRY(const ValueId recurrent, joined("recurrent_kernel", 2));
  EW_TRY(const ValueId bias, joined("bias", 3));
  EW_TRY(const ValueId h, first_state(c, 4));
  EW_TRY(std::string activation, recurrent_activation_name(c.options.scalar<Activation>(1)));
  return run_sequence(c, ops::kSimpleRnn, {x, kernel, recurrent, bias, kNoValue, kNoValue, h},
                      {{"activation", std::move(activation)}}, c.options.flag(0));
}

const Lowering kLowerings[] = {
    {BuiltinOperator::kUnidirectionalSequenceLstm, one<unidirectional_sequence_lstm>},
    {BuiltinOperator::kUnidirectionalSequenceRnn, one<unidirectional_sequence_rnn>},
};

}  // namespace

std::span<const Lowering> recurrent_lowerings() { return kLowerings; }

}  // namespace ew::formats::tflite
