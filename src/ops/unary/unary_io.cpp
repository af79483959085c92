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

// clip((x + 1) / 2, 0, 1)
ValueId sparse_sigmoid(Builder& b, ValueId x, KerasGeneration) {
  return b.add(kHardSigmoid, {x}, {{"alpha", 0.5}, {"beta", 0.5}});
}

ValueId leaky_relu(Builder& b, ValueId x, KerasGeneration) {
  return b.add(kLeakyRelu, {x}, {{"alpha", 0.2}});
}

ValueId hard_tanh(Builder& b, ValueId x, KerasGeneration) {
  return b.add(kClip, {x}, {{"alpha", -1.0}, {"beta", 1.0}});
}

const KerasActivation kActivations[] = {
    {"celu", plain<kCelu>},
    {"elu", plain<kElu>},
    {"exponential", plain<kExp>},
    {"gelu", plain<kGelu>},
    {"hard_shrink", plain<kHardShrink>},
    {"hard_sigmoid", hard_sigmoid},
    {"hard_silu", plain<kHardSilu>},
    {"hard_swish", plain<kHardSilu>},
    {"hard_tanh", hard_tanh},
    {"leaky_relu", leaky_relu},
    {"linear", linear},
    {"log_sigmoid", plain<kLogSigmoid>},
    {"mish", plain<kMish>},
    {"relu", plain<kRelu>},
    {"relu6", plain<kRelu6>},
    {"selu", plain<kSelu>},
    {"sigmoid", plain<kSigmoid>},
    {"silu", plain<kSilu>},
    {"soft_shrink", plain<kSoftShrink>},
    {"softplus", plain<kSoftplus>},
    {"softsign", plain<kSoftsign>},
    {"sparse_plus", plain<kSparsePlus>},
    {"sparse_sigmoid", sparse_sigmoid},
    {"squareplus", plain<kSquareplus>},
    {"swish", plain<kSilu>},
    {"tanh", plain<kTanh>},
    {"tanh_shrink", plain<kTanhShrink>},
};

}  // namespace

extern const formats::OpIo unary_io{.keras_activations = kActivations};

}  // namespace ew::ops
