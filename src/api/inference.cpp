#include "api/model_impl.h"
#include "compress/quantize.h"
#include "ops/passes.h"

namespace ew::api {

Result<ir::Graph> inference_graph(const ir::Model& model) {
  return compress::deployed_graph(model);
}

Result<ir::Graph> executable_graph(const ir::Model& model) {
  EW_TRY(const ir::Graph graph, inference_graph(model));
  return ops::fuse_for_execution(graph);
}

Result<ir::Model> deployed_model(const ir::Model& model) {
  ir::Model deployed;
  deployed.architecture.version = model.architecture.version;
  EW_TRY(deployed.graph, executable_graph(model));
  return deployed;
}

}  // namespace ew::api
