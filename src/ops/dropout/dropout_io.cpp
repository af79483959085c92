// Keras layers that act in training only: Dropout, SpatialDropout1D to 3D, GaussianDropout,
// GaussianNoise, AlphaDropout, ActivityRegularization.
#include "formats/keras/spatial.h"

namespace ew::ops {
namespace {

using formats::keeps_mask;
using formats::LayerContext;

Result<ValueId> dropout_of(LayerContext& c, const char* kind, const char* rate_key,
                           std::vector<int64_t> noise_shape) {
  EW_TRY(const ValueId x, formats::sole_input(c));
  EW_TRY(const double rate, c.config.get_double(rate_key, 0));
  return c.b.add(
      kDropout, {x},
      {{"kind", std::string(kind)}, {"rate", rate}, {"noise_shape", std::move(noise_shape)}});
}

// noise_shape may hold null for "as the input".
Result<std::vector<int64_t>> noise_shape_of(const LayerContext& c) {
  std::vector<int64_t> shape;
  for (const Config& d : c.config["noise_shape"].as_list()) {
    if (!d.is_null() && !d.is_int()) {
      return invalid_data("noise_shape: expected integers or null, found a ", d.kind_name());
    }
    shape.push_back(d.as_int(-1));
  }
  return shape;
}

Result<ValueId> dropout(LayerContext& c) {
  EW_TRY(std::vector<int64_t> noise, noise_shape_of(c));
  return dropout_of(c, "dropout", "rate", std::move(noise));
}

Result<ValueId> alpha_dropout(LayerContext& c) {
  EW_TRY(std::vector<int64_t> noise, noise_shape_of(c));
  return dropout_of(c, "alpha_dropout", "rate", std::move(noise));
}

// Whole channels are dropped.
template <int kRank>
Result<ValueId> spatial_dropout(LayerContext& c) {
  EW_TRY(const bool channels_first, formats::is_channels_first(c.config));
  std::vector<int64_t> noise(kRank + 2, 1);
  noise[0] = -1;
  noise[channels_first ? 1 : kRank + 1] = -1;
  return dropout_of(c, "dropout", "rate", std::move(noise));
}

Result<ValueId> gaussian_dropout(LayerContext& c) {
  return dropout_of(c, "gaussian_dropout", "rate", {});
}

Result<ValueId> gaussian_noise(LayerContext& c) {
  return dropout_of(c, "gaussian_noise", "stddev", {});
}

// The importer adds the loss, as for every layer's activity_regularizer.
Result<ValueId> activity_regularization(LayerContext& c) { return formats::sole_input(c); }

const formats::KerasLayer kLayers[] = {
    {"ActivityRegularization", keeps_mask<activity_regularization>},
    {"AlphaDropout", keeps_mask<alpha_dropout>},
    {"Dropout", keeps_mask<dropout>},
    {"GaussianDropout", keeps_mask<gaussian_dropout>},
    {"GaussianNoise", keeps_mask<gaussian_noise>},
    {"SpatialDropout1D", keeps_mask<spatial_dropout<1>>},
    {"SpatialDropout2D", keeps_mask<spatial_dropout<2>>},
    {"SpatialDropout3D", keeps_mask<spatial_dropout<3>>},
};

}  // namespace

extern const formats::OpIo dropout_io{.keras_layers = kLayers};

}  // namespace ew::ops
