// A whole `.h5` through libhdf5 in its limited child. Whatever the child does, the parent lives.
#include "formats/keras/keras_file.h"
#include "targets.h"

namespace ew::fuzz {

void h5_file(Bytes bytes) {
  const Result<formats::H5Group> root = formats::read_h5(bytes, "fuzz.h5", kChildLimits);
  if (!root.ok()) {
    require(root.error().message.starts_with("fuzz.h5: "), "an error names the file");
    return;
  }
  const Result<ir::Model> model = formats::keras_model_of(*root);
  if (model.ok()) exercise(model->graph);
}

}  // namespace ew::fuzz
