#include "formats/keras/layer.h"

namespace ew::ops {
namespace {

ValueId log_softmax(Builder& b, ValueId x, ir::KerasGeneration) { return b.add(kLogSoftmax, {x}); }

const formats::KerasActivation kActivations[] = {{"log_softmax", log_softmax}};

}  // namespace

extern const formats::OpIo log_softmax_io{.keras_activations = kActivations};

}  // namespace ew::ops
