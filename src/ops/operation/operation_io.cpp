// Keras 2's layers around single TensorFlow functions.
#include "formats/keras/operation.h"

namespace ew::ops {
namespace {

const formats::KerasLayer kLayers[] = {{"TFOpLambda", formats::build_tf_operation},
                                       {"SlicingOpLambda", formats::build_tf_operation}};

}  // namespace

extern const formats::OpIo operation_io{.keras_layers = kLayers};

}  // namespace ew::ops
