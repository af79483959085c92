// Keras names of the elementwise functions.
#include "formats/keras/layer.h"

namespace ew::ops {
namespace {

using formats::KerasActivation;
using ir::KerasGeneration;

template <const OpDef& op>
ValueId plain(Builder& b, ValueId x, KerasGeneration) {
  return b.add(op, {x});
}

ValueId linear(Builder&, ValueId x, KerasGeneration) { return x; }

// clip(0.2 x + 0.5, 0, 1) in Keras 2, relu6(x + 3) / 6 in Keras 3.
ValueId hard_sigmoid(Builder& b, ValueId x, KerasGeneration generation) {
  const double slope = generation == KerasGeneration::kKeras2 ? 0.2 : 1.0 / 6;
  return b.add(kHardSigmoid, {x}, {{"alpha", slope}, {"beta", 0.5}});
}

const KerasActivation kActivations[] = {
    {"linear", linear},     {"relu", plain<kRelu>},         {"sigmoid", plain<kSigmoid>},
    {"tanh", plain<kTanh>}, {"hard_sigmoid", hard_sigmoid}, {"softplus", plain<kSoftplus>},
};

}  // namespace

extern const formats::OpIo unary_io{.keras_activations = kActivations};

}  // namespace ew::ops
