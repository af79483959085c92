// Recurrent layers over a sequence.
#include <algorithm>

#include "formats/tflite/emit.h"
#include "ops/recurrent.h"

namespace ew::formats::tflite {
namespace {

using ir::Tensor;
using ir::TensorType;

enum OptionsType { kSequenceRnn = 31, kUnidirectionalSequenceLstm = 71 };

bool is_used(const ir::Graph& graph, ir::ValueId id) {
  const auto holds = [&](const std::vector<ir::ValueId>& ids) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  return holds(graph.outputs) || std::any_of(graph.nodes.begin(), graph.nodes.end(),
                                             [&](const ir::Node& n) { return holds(n.inputs); });
}

/// What the format's recurrent operators cannot say.
Status expect_plain(const EmitContext& c) {
  const std::string& name = c.node.op->name;
  if (c.has_input(ops::kMask)) return unsupported(name, " with a mask; .tflite files have none");
  if (c.has_input(ops::kH0) || c.has_input(ops::kC0)) {
    return unsupported(name, " with a first state; in .tflite files it begins with zeros");
  }
  for (size_t i = 1; i < c.node.outputs.size(); ++i) {
    if (is_used(c.file.graph(), c.node.outputs[i])) {
      return unsupported(name, " whose last state is used; .tflite files give the sequence only");
    }
  }
  for (const size_t i : {size_t{ops::kKernel}, size_t{ops::kRecurrent}}) {
    if (c.constant(i) == nullptr || c.constant(i)->dtype() != DType::kF32) {
      return unsupported(name, " with weights that are not constant float32");
    }
  }
  if (c.has_input(ops::kBias) && c.constant(ops::kBias) == nullptr) {
    return unsupported(name, " with a bias that is computed at run time");
  }
  return {};
}

Result<Activation> activation_of(const ir::Attrs& attrs) {
  const std::string& name = attrs.text("activation");
  if (name == "tanh") return Activation::kTanh;
  if (name == "linear") return Activation::kNone;
  if (name == "relu") return Activation::kRelu;
  if (name == "relu6") return Activation::kRelu6;
  return unsupported("a recurrent layer with the activation ", name,
                     "; .tflite files have tanh, relu, relu6 and linear");
}

/// Columns [first, first + units) of a kernel [width, ...] as rows [units, width].
Tensor gate_rows(const Tensor& kernel, int64_t first, int64_t units) {
  const int64_t width = kernel.shape()[0];
  const int64_t columns = kernel.shape()[1];
  Tensor out(DType::kF32, Shape{units, width});
  const std::span<const float> w = kernel.values<float>();
  const std::span<float> y = out.mutable_values<float>();
  for (int64_t u = 0; u < units; ++u) {
    for (int64_t k = 0; k < width; ++k) {
      y[static_cast<size_t>(u * width + k)] = w[static_cast<size_t>(k * columns + first + u)];
    }
  }
  return out;
}

Tensor gate_bias(const Tensor* bias, int64_t first, int64_t units) {
  Tensor out(DType::kF32, Shape{units});
  if (bias != nullptr) {
    std::copy_n(bias->values<float>().begin() + first, units, out.mutable_values<float>().begin());
  }
  return out;
}

/// x in the order of processing, the whole sequence by `emit(x, y)`, then the part that the node
/// gives.
template <typename F>
Status emit_sequence(const EmitContext& c, F emit) {
  const TensorType x_type = c.in_type(ops::kX);
  int32_t x = c.in(ops::kX);
  if (c.node.attrs.flag("go_backwards")) {
    x = c.step(BuiltinOperator::kReverseV2, {x, c.file.ints({1}, c.name("time"))}, x_type,
               "reversed");
  }
  if (c.node.attrs.flag("return_sequences")) {
    emit(x, c.out());
    return {};
  }
  const int64_t batch = x_type.shape[0];
  const int64_t steps = x_type.shape[1];
  const int64_t units = c.out_type().shape[1];
  const TensorType sequence{DType::kF32, Shape{batch, steps, units}, nullptr};
  const int32_t y = c.file.temporary(sequence, c.name("sequence"));
  emit(x, y);
  const TensorType last{DType::kF32, Shape{batch, 1, units}, nullptr};
  const int32_t end = c.step(BuiltinOperator::kSlice,
                             {y, c.file.ints({0, steps - 1, 0}, c.name("begin")),
                              c.file.ints({batch, 1, units}, c.name("size"))},
                             last, "last");
  c.file.add(BuiltinOperator::kReshape, {end, c.file.ints({batch, units}, c.name("shape"))},
             {c.out()});
  return {};
}

Status lstm(const EmitContext& c) {
  EW_TRY_VOID(expect_plain(c));
  EW_TRY(const Activation activation, activation_of(c.node.attrs));
  if (c.node.attrs.text("recurrent_activation") != "sigmoid") {
    return unsupported("lstm with the recurrent activation ",
                       c.node.attrs.text("recurrent_activation"), "; .tflite files have sigmoid");
  }
  const Tensor& kernel = *c.constant(ops::kKernel);
  const Tensor& recurrent = *c.constant(ops::kRecurrent);
  const int64_t units = recurrent.shape()[0];
  std::vector<int32_t> in(24, -1);
  for (int64_t g = 0; g < 4; ++g) {
    const auto at = static_cast<size_t>(g);
    in[1 + at] =
        c.file.constant(gate_rows(kernel, g * units, units), c.name(str("kernel_", g).c_str()));
    in[5 + at] = c.file.constant(gate_rows(recurrent, g * units, units),
                                 c.name(str("recurrent_", g).c_str()));
    in[12 + at] = c.file.constant(gate_bias(c.constant(ops::kBias), g * units, units),
                                  c.name(str("bias_", g).c_str()));
  }
  const TensorType state{DType::kF32, Shape{c.in_type(0).shape[0], units}, nullptr};
  in[18] = c.file.variable(state, c.name("output_state"));
  in[19] = c.file.variable(state, c.name("cell_state"));
  return emit_sequence(c, [&](int32_t x, int32_t y) {
    in[0] = x;
    FlatTable& options = c.file.add(BuiltinOperator::kUnidirectionalSequenceLstm, in, {y},
                                    kUnidirectionalSequenceLstm);
    options.scalar(0, static_cast<int8_t>(activation));
    options.scalar(1, static_cast<float>(c.node.attrs.number("cell_clip")));
  });
}

Status simple_rnn(const EmitContext& c) {
  EW_TRY_VOID(expect_plain(c));
  EW_TRY(const Activation activation, activation_of(c.node.attrs));
  const Tensor& recurrent = *c.constant(ops::kRecurrent);
  const int64_t units = recurrent.shape()[0];
  const int32_t w =
      c.file.constant(gate_rows(*c.constant(ops::kKernel), 0, units), c.name("kernel"));
  const int32_t r = c.file.constant(gate_rows(recurrent, 0, units), c.name("recurrent"));
  const int32_t bias = c.file.constant(gate_bias(c.constant(ops::kBias), 0, units), c.name("bias"));
  const TensorType state{DType::kF32, Shape{c.in_type(0).shape[0], units}, nullptr};
  const int32_t h = c.file.variable(state, c.name("state"));
  return emit_sequence(c, [&](int32_t x, int32_t y) {
    FlatTable& options = c.file.add(BuiltinOperator::kUnidirectionalSequenceRnn, {x, w, r, bias, h},
                                    {y}, kSequenceRnn);
    options.scalar(1, static_cast<int8_t>(activation));
  });
}

const Emitter kEmitters[] = {{&ops::kLstm, lstm}, {&ops::kSimpleRnn, simple_rnn}};

}  // namespace

std::span<const Emitter> recurrent_emitters() { return kEmitters; }

}  // namespace ew::formats::tflite
