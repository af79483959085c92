#include "api/model_impl.h"
#include "compress/quantize.h"

namespace ew::api {

Result<ir::Graph> inference_graph(const ir::Model& model) {
  return compress::deployed_graph(model);
}

}  // namespace ew::api
