// Keras AveragePooling1D to 3D and GlobalAveragePooling1D to 3D.
#include "formats/keras/spatial.h"

namespace ew::ops {
namespace {

using formats::drops_mask;
using formats::LayerContext;

template <int kRank>
Result<ValueId> pool(LayerContext& c) {
  return formats::lower_pool(c, kRank, kAvgPool);
}

template <int kRank>
Result<ValueId> global_pool(LayerContext& c) {
  return formats::lower_global_pool(c, kRank, kReduceMean);
}

// With a mask, the mean over the unmasked steps.
Result<ValueId> global_pool_1d(LayerContext& c) {
  EW_TRY(const ValueId x, formats::sole_input(c));
  const ValueId mask = c.inputs[0].mask;
  if (mask == kNoValue) return global_pool<1>(c);
  EW_TRY(const bool channels_first, formats::is_channels_first(c.config));
  EW_TRY(const bool keepdims, c.config.get_bool("keepdims", false));
  const DType dtype = c.b.type(x).dtype;
  const ValueId weight =
      c.b.add(kReshape, {c.b.add(kCast, {mask}, {{"to", std::string(dtype_name(dtype))}})},
              {{"shape",
                channels_first ? std::vector<int64_t>{0, 1, -1} : std::vector<int64_t>{0, -1, 1}}});
  const Attrs over{{"axes", std::vector<int64_t>{channels_first ? 2 : 1}}, {"keepdims", keepdims}};
  const ValueId sum = c.b.add(kReduceSum, {c.b.add(kMul, {x, weight})}, over);
  return c.b.add(kDiv, {sum, c.b.add(kReduceSum, {weight}, over)});
}

const formats::KerasLayer kLayers[] = {
    {"AveragePooling1D", drops_mask<pool<1>>},
    {"AveragePooling2D", drops_mask<pool<2>>},
    {"AveragePooling3D", drops_mask<pool<3>>},
    {"AvgPool1D", drops_mask<pool<1>>},
    {"AvgPool2D", drops_mask<pool<2>>},
    {"AvgPool3D", drops_mask<pool<3>>},
    {"GlobalAveragePooling1D", drops_mask<global_pool_1d>},
    {"GlobalAveragePooling2D", drops_mask<global_pool<2>>},
    {"GlobalAveragePooling3D", drops_mask<global_pool<3>>},
    {"GlobalAvgPool1D", drops_mask<global_pool_1d>},
    {"GlobalAvgPool2D", drops_mask<global_pool<2>>},
    {"GlobalAvgPool3D", drops_mask<global_pool<3>>},
};

}  // namespace

extern const formats::OpIo avg_pool_io{.keras_layers = kLayers};

}  // namespace ew::ops
