#include "api/model_impl.h"
#include "compress/fold_batch_norm.h"
#include "compress/quantize.h"

namespace ew::api {

Result<ir::Graph> inference_graph(const ir::Model& model) {
  return compress::deployed_graph(model);
}

Result<ir::Model> deployed_model(const ir::Model& model) {
  ir::Model deployed;
  deployed.architecture.version = model.architecture.version;
  if (model.quantization) {
    EW_TRY(deployed.graph, inference_graph(model));
    return deployed;
  }
  EW_TRY(const ir::Model folded, compress::fold_batch_norm(model));
  EW_TRY(deployed.graph, inference_graph(folded));
  return deployed;
}

}  // namespace ew::api
