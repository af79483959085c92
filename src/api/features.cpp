// Model::prepend and append: pre- and post-processing as part of the graph.
#include "ops/signal/features.h"

#include "api/model_impl.h"
#include "train/feature_call.h"

namespace ew {
namespace {

using Join = Result<ir::Graph> (*)(const ir::Graph& graph, const Config& chain);

// The deployed graph with the chain: Keras' layers and training state no longer describe it.
Result<void> join(ir::Model& model, const std::string& features, Join add) {
  EW_TRY(const Config chain, train::parse_features(features));
  EW_TRY(ir::Model deployed, api::deployed_model(model));
  EW_TRY(deployed.graph, add(api::with_real_ports(std::move(deployed.graph)), chain));
  model = std::move(deployed);
  return {};
}

}  // namespace

Result<void> Model::prepend(const std::string& features) {
  return join(impl_->model, features, ops::signal::prepend_features);
}

Result<void> Model::append(const std::string& features) {
  return join(impl_->model, features, ops::signal::append_features);
}

}  // namespace ew
