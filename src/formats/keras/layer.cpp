// The tables of Keras layers and activations, made from the io facets of ops.def.
#include "formats/keras/layer.h"

#include <algorithm>

namespace ew::ops {

#define EW_DECLARE_yes(name) extern const formats::OpIo name##_io;
#define EW_DECLARE_no(name)
#define EW_OP(name, Name, grad, cpu, c, rtl, io) EW_DECLARE_##io(name)
#include "ops/ops.def"
#undef EW_OP
#define EW_LOWERING(name) extern const formats::OpIo name##_io;
#include "ops/lowering.def"
#undef EW_LOWERING
extern const formats::OpIo unary_io;
extern const formats::OpIo binary_io;

}  // namespace ew::ops

namespace ew::formats {
namespace {

const OpIo* const kIo[] = {
#define EW_ROW_yes(name) &ops::name##_io,
#define EW_ROW_no(name)
#define EW_OP(name, Name, grad, cpu, c, rtl, io) EW_ROW_##io(name)
#include "ops/ops.def"
#undef EW_OP
#define EW_LOWERING(name) &ops::name##_io,
#include "ops/lowering.def"
#undef EW_LOWERING
    &ops::unary_io, &ops::binary_io};

}  // namespace

const KerasLayer* find_keras_layer(std::string_view class_name) {
  for (const OpIo* io : kIo) {
    for (const KerasLayer& layer : io->keras_layers) {
      if (class_name == layer.class_name) return &layer;
    }
  }
  return nullptr;
}

std::vector<std::string> keras_layer_names() {
  std::vector<std::string> names;
  for (const OpIo* io : kIo) {
    for (const KerasLayer& layer : io->keras_layers) names.emplace_back(layer.class_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

const KerasActivation* find_keras_activation(std::string_view name) {
  for (const OpIo* io : kIo) {
    for (const KerasActivation& activation : io->keras_activations) {
      if (name == activation.name) return &activation;
    }
  }
  return nullptr;
}

}  // namespace ew::formats
