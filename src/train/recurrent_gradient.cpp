#include "ops/recurrent_gradient.h"

namespace ew::ops {
namespace {

constexpr size_t kRecurrentMaskInput = 5;
constexpr size_t kInputs = 8;

}  // namespace

std::vector<ValueId> recurrent_grad(Builder& b, const Node& node, std::span<const ValueId> dy,
                                    const RecurrentKind& kind, const OpDef& backward) {
  const auto states = static_cast<size_t>(kind.states);
  std::vector<ValueId> outputs = node.outputs;
  std::vector<ValueId> inputs = node.inputs;
  if (!node.attrs.flag("save")) {
    Attrs attrs = node.attrs;
    attrs.set("save", true);
    outputs = b.add_multi(*node.op, inputs, attrs);
    if (!b.ok()) return std::vector<ValueId>(inputs.size(), kNoValue);
  }
  const size_t given = inputs.size();
  inputs.resize(kInputs, kNoValue);
  inputs.push_back(outputs[1 + states]);
  inputs.push_back(outputs[2 + states]);
  for (size_t i = 0; i <= states; ++i) inputs.push_back(dy[i]);
  const std::vector<ValueId> d = b.add_multi(backward, std::move(inputs), node.attrs);
  if (!b.ok()) return std::vector<ValueId>(given, kNoValue);
  std::vector<ValueId> gradients = {d[0], d[1], d[2], d[3], kNoValue, kNoValue, d[4]};
  if (states > 1) gradients.push_back(d[5]);
  gradients.resize(given, kNoValue);
  for (size_t i = 0; i < given; ++i) {
    if (node.inputs[i] == kNoValue) gradients[i] = kNoValue;
  }
  return gradients;
}

std::vector<ValueId> recurrent_training(Builder& b, const Node& node,
                                        std::span<const ValueId> inputs, TrainingScope& scope) {
  std::vector<ValueId> all(inputs.begin(), inputs.end());
  const double rate = node.attrs.number("recurrent_dropout");
  if (rate > 0) {
    const Shape state{b.shape(inputs[0])[0], b.shape(inputs[2])[0]};
    const DType dtype = b.type(inputs[0]).dtype;
    const ValueId ones = b.add(kBroadcastTo, {b.scalar(1, dtype)}, {{"shape", state.dims()}});
    if (all.size() <= kRecurrentMaskInput) all.resize(kRecurrentMaskInput + 1, kNoValue);
    all[kRecurrentMaskInput] = b.add(kNoise, {ones, scope.step()},
                                     {{"kind", std::string("keep")},
                                      {"drop", rate},
                                      {"scale", rate < 1 ? 1 / (1 - rate) : 0.0},
                                      {"seed", scope.seed()},
                                      {"stream", scope.next_stream()}});
  }
  Attrs attrs = node.attrs;
  attrs.set("save", true);
  return b.add_multi(*node.op, std::move(all), attrs);
}

}  // namespace ew::ops
