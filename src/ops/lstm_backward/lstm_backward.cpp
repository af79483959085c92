/// lstm_backward: gradients of lstm by back-propagation through time, from what it saved. Inputs,
/// outputs and errors: ops/recurrent.h.
#include "ops/recurrent.h"

namespace ew::ops {
namespace {

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  return infer_recurrent_backward(in, attrs, kLstmKind);
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  run_recurrent_backward(in, out, attrs, kLstmKind);
}

}  // namespace

const OpDef kLstmBackward{.name = "lstm_backward",
                          .attrs = kRecurrentAttrs,
                          .min_inputs = 10,
                          .max_inputs = 13,
                          .infer = infer,
                          .reference = reference};

}  // namespace ew::ops
