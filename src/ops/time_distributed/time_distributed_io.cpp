// Keras TimeDistributed: the wrapped layer sees batch and time as one batch.
#include "formats/keras/lowering.h"

namespace ew::ops {
namespace {

using formats::KerasTensor;
using formats::LayerContext;

ValueId split_time(Builder& b, ValueId y, ValueId x) {
  const Shape& whole = b.shape(x);
  if (whole[0] == kUnknown && whole[1] == kUnknown) return b.add(kReshapeLike, {y, x});
  std::vector<int64_t> shape = {whole[0], whole[1]};  // kUnknown is reshape's "infer"
  for (int d = 1; d < b.shape(y).rank(); ++d) shape.push_back(b.shape(y)[d]);
  int open = 0;
  for (const int64_t d : shape) open += d == kUnknown ? 1 : 0;
  return open > 1 ? b.add(kReshapeLike, {y, x}) : b.add(kReshape, {y}, {{"shape", shape}});
}

ValueId join_time(Builder& b, ValueId x) {
  const Shape shape = b.shape(x);
  std::vector<int64_t> to = {-1};
  for (int d = 2; d < shape.rank(); ++d) to.push_back(shape[d]);
  return b.add(kReshape, {x}, {{"shape", to}});
}

std::vector<KerasTensor> time_distributed(LayerContext& c) {
  if (c.inputs.empty()) return c.fail(invalid_data("expected an input"));
  const ValueId x = c.inputs[0].value;
  const Shape shape = c.b.shape(x);
  if (shape.rank() < 3) {
    return c.fail(invalid_data("expected an input of rank 3 or more, found ", shape));
  }
  for (int d = 2; d < shape.rank(); ++d) {
    if (shape[d] == kUnknown) {
      return c.fail(unsupported("dimension ", d, " of the input ", shape, " is unknown"));
    }
  }
  const ValueId mask = formats::input_mask(c);
  // A mask with more than batch and time says something about the wrapped layer's input.
  ValueId inner_mask = kNoValue;
  if (mask != kNoValue && c.b.shape(mask).rank() > 2) inner_mask = join_time(c.b, mask);
  std::vector<KerasTensor> y =
      c.call_layer(c.config["layer"], "layer", {{join_time(c.b, x), inner_mask}});
  if (!c.b.ok()) return {};
  std::vector<KerasTensor> out;
  for (const KerasTensor& part : y) out.push_back({split_time(c.b, part.value, x), mask});
  return out;
}

const formats::KerasLayer kLayers[] = {{"TimeDistributed", time_distributed}};

}  // namespace

extern const formats::OpIo time_distributed_io{.keras_layers = kLayers};

}  // namespace ew::ops
