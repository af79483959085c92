// LSTM, GRU and SimpleRNN as ONNX nodes.
#include <algorithm>

#include "formats/onnx/exporter.h"

namespace ew::formats::onnx {
namespace {

using ir::Node;

struct Kind {
  const char* name;
  std::vector<int64_t> order;  ///< our gate at each place of the file's
  size_t states;
};

struct Activation {
  const char* own;
  const char* onnx;
  double alpha;
  double beta;
};
constexpr Activation kActivations[] = {{"sigmoid", "Sigmoid", 0, 0},
                                       {"tanh", "Tanh", 0, 0},
                                       {"relu", "Relu", 0, 0},
                                       {"softsign", "Softsign", 0, 0},
                                       {"softplus", "Softplus", 0, 0},
                                       {"elu", "Elu", 1, 0},
                                       {"linear", "Affine", 1, 0},
                                       {"hard_sigmoid", "HardSigmoid", 1.0 / 6, 0.5},
                                       {"hard_sigmoid_k2", "HardSigmoid", 0.2, 0.5}};

const Activation* find_activation(const std::string& name) {
  for (const Activation& row : kActivations) {
    if (name == row.own) return &row;
  }
  return nullptr;
}

// [rows, G U] as [1, G U, rows] with the gates in the file's order.
Tensor gates_first(const Tensor& t, const std::vector<int64_t>& order) {
  const int64_t rows = t.shape()[0];
  const int64_t width = t.shape()[1];
  const int64_t units = width / static_cast<int64_t>(order.size());
  Tensor out(DType::kF32, Shape{1, width, rows});
  const std::span<const float> x = t.values<float>();
  const std::span<float> y = out.mutable_values<float>();
  for (size_t g = 0; g < order.size(); ++g) {
    for (int64_t u = 0; u < units; ++u) {
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t to = (static_cast<int64_t>(g) * units + u) * rows + r;
        y[static_cast<size_t>(to)] = x[static_cast<size_t>(r * width + order[g] * units + u)];
      }
    }
  }
  return out;
}

// Input and recurrent biases, [1, 2 G U].
Tensor biases(const Tensor& bias, const std::vector<int64_t>& order) {
  const int64_t width = bias.shape()[-1];
  const int64_t units = width / static_cast<int64_t>(order.size());
  Tensor out(DType::kF32, Shape{1, 2 * width});
  const std::span<const float> x = bias.values<float>();
  const std::span<float> y = out.mutable_values<float>();
  const size_t parts = bias.shape().rank() == 2 ? 2 : 1;
  for (size_t p = 0; p < parts; ++p) {
    for (size_t g = 0; g < order.size(); ++g) {
      for (int64_t u = 0; u < units; ++u) {
        const auto place = static_cast<int64_t>(p) * width;
        y[static_cast<size_t>(place + static_cast<int64_t>(g) * units + u)] =
            x[static_cast<size_t>(place + order[g] * units + u)];
      }
    }
  }
  return out;
}

// Activations in the file's order: gates, then candidate, then output.
std::vector<const Activation*> activations(const Node& node) {
  const Activation* own = find_activation(node.attrs.text("activation"));
  const Activation* gate = find_activation(node.attrs.text("recurrent_activation"));
  if (node.op == &ops::kSimpleRnn) return {own};
  if (node.op == &ops::kGru) return {gate, own};
  return {gate, own, own};
}

ExportAttrs attributes(const Node& node, int64_t units) {
  ExportAttrs attrs{{"hidden_size", units}};
  if (node.attrs.flag("go_backwards")) attrs.emplace_back("direction", std::string("reverse"));
  if (node.op == &ops::kGru) {
    attrs.emplace_back("linear_before_reset", int64_t{node.attrs.flag("reset_after") ? 1 : 0});
  }
  // Runtimes give parameters to the functions that have some, in order; so only those are listed.
  std::vector<std::string> names;
  std::vector<double> alphas;
  std::vector<double> betas;
  for (const Activation* a : activations(node)) {
    names.emplace_back(a->onnx);
    if (a->alpha != 0) alphas.push_back(a->alpha);
    if (std::string_view(a->onnx) == "HardSigmoid" || std::string_view(a->onnx) == "Affine") {
      betas.push_back(a->beta);
    }
  }
  attrs.emplace_back("activations", names);
  if (!alphas.empty()) attrs.emplace_back("activation_alpha", alphas);
  if (!betas.empty()) attrs.emplace_back("activation_beta", betas);
  return attrs;
}

bool export_kind(Exporter& e, const Node& node, const Kind& kind) {
  const auto input = [&](size_t i) { return i < node.inputs.size() ? node.inputs[i] : kNoValue; };
  const Tensor* kernel = e.constant(input(1));
  const Tensor* recurrent = e.constant(input(2));
  const Tensor* bias = e.constant(input(3));
  const bool has_masks = input(4) != kNoValue || input(5) != kNoValue;
  if (kernel == nullptr || recurrent == nullptr || (bias == nullptr && input(3) != kNoValue) ||
      has_masks || kernel->dtype() != DType::kF32) {
    e.fail(unsupported(node.origin,
                       ": a recurrent layer with masks, or with weights that are not "
                       "constant float32, has no ONNX form"));
    return true;
  }
  if (node.attrs.number("cell_clip") != 0) {
    e.fail(unsupported(node.origin, ": a recurrent layer with clipped cells has no ONNX form"));
    return true;
  }
  for (const Activation* a : activations(node)) {
    if (a != nullptr) continue;
    e.fail(unsupported(node.origin, ": the activations '", node.attrs.text("activation"), "' and '",
                       node.attrs.text("recurrent_activation"), "' have no ONNX form"));
    return true;
  }
  const int64_t units = recurrent->shape()[0];
  std::vector<std::string> in{
      e.add("Transpose", {e.name(node.inputs[0])}, {{"perm", std::vector<int64_t>{1, 0, 2}}}),
      e.initializer(gates_first(*kernel, kind.order), "kernel"),
      e.initializer(gates_first(*recurrent, kind.order), "recurrent_kernel"),
      bias != nullptr ? e.initializer(biases(*bias, kind.order), "bias") : "", ""};
  for (size_t s = 0; s < kind.states; ++s) {
    const ValueId state = input(6 + s);
    in.push_back(state == kNoValue ? "" : e.add("Unsqueeze", {e.name(state), e.ints({0})}));
  }
  const std::vector<std::string> out =
      e.add_multi(kind.name, in, 1 + kind.states, attributes(node, units));
  if (node.attrs.flag("return_sequences")) {
    // [T, 1, B, U] to [B, T, U]; backwards ours come in the order of processing.
    std::string y = e.add("Squeeze", {out[0], e.ints({1})});
    y = e.add("Transpose", {y}, {{"perm", std::vector<int64_t>{1, 0, 2}}});
    if (node.attrs.flag("go_backwards")) {
      y = e.add("Slice", {y, e.ints({-1}), e.ints({std::numeric_limits<int64_t>::min()}),
                          e.ints({1}), e.ints({-1})});
    }
    e.set(node.outputs[0], y);
  } else {
    e.set(node.outputs[0], e.add("Squeeze", {out[1], e.ints({0})}));
  }
  for (size_t s = 0; s < kind.states; ++s) {
    e.set(node.outputs[1 + s], e.add("Squeeze", {out[1 + s], e.ints({0})}));
  }
  return true;
}

}  // namespace

bool export_recurrent_node(Exporter& e, const Node& node) {
  // ONNX has i, o, f, c and z, r, h; ours are i, f, c, o and z, r, h.
  if (node.op == &ops::kLstm) return export_kind(e, node, {"LSTM", {0, 3, 1, 2}, 2});
  if (node.op == &ops::kGru) return export_kind(e, node, {"GRU", {0, 1, 2}, 1});
  if (node.op == &ops::kSimpleRnn) return export_kind(e, node, {"RNN", {0}, 1});
  return false;
}

}  // namespace ew::formats::onnx
