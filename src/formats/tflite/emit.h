#pragma once
// How one node of a graph becomes operators of a TFLite file.

#include "formats/tflite/file_builder.h"

namespace ew::formats::tflite {

/// One node being written.
class EmitContext {
 public:
  EmitContext(FileBuilder& builder, const ir::Node& source) : file(builder), node(source) {}

  FileBuilder& file;
  const ir::Node& node;

  const ir::TensorType& in_type(size_t i) const { return file.graph().type(node.inputs[i]); }
  const ir::TensorType& out_type(size_t i = 0) const { return file.graph().type(node.outputs[i]); }
  bool has_input(size_t i) const {
    return i < node.inputs.size() && node.inputs[i] != ir::kNoValue;
  }
  int32_t in(size_t i) const { return has_input(i) ? file.tensor(node.inputs[i]) : -1; }
  int32_t out(size_t i = 0) const { return file.tensor(node.outputs[i]); }
  /// All inputs, with -1 for absent ones in the middle.
  std::vector<int32_t> all_in() const;
  /// A name for an extra tensor of this node.
  std::string name(const char* suffix) const;
  /// Contents of an input that never changes, or null.
  const ir::Tensor* constant(size_t i) const;

  /// The constant input i in the file's layout: dimensions permuted, reshaped, scales on `axis`.
  Result<int32_t> weight(size_t i, const std::vector<int64_t>& perm,
                         const std::vector<int64_t>& shape, int axis) const;
  /// One operator from `inputs` to a new tensor of `type`; its index.
  int32_t step(BuiltinOperator code, const std::vector<int32_t>& inputs, const ir::TensorType& type,
               const char* suffix) const;
};

using EmitFn = Status (*)(const EmitContext& c);

struct Emitter {
  const ir::OpDef* op;
  EmitFn emit;
};

std::span<const Emitter> window_emitters();
std::span<const Emitter> elementwise_emitters();
std::span<const Emitter> shape_emitters();
std::span<const Emitter> recurrent_emitters();
EmitFn find_emitter(const ir::OpDef& op);

/// What a node's clamp attributes are in the schema. `is_exact` is false if it has no word for
/// them: then emit_clamp() must follow.
struct FusedActivation {
  Activation activation = Activation::kNone;
  bool is_exact = true;
};
FusedActivation fused_activation(const ir::Attrs& attrs);

/// The operator that a node with clamp attributes ends in, written by `emit(tensor, activation)`
/// into the node's output, or into a tensor that is then clamped into it.
template <typename F>
Status emit_with_clamp(const EmitContext& c, F emit);
/// y = min(max(x, lower), upper) between two tensors of one type, as operators.
Status emit_clamp(const EmitContext& c, int32_t x, const ir::TensorType& type, double lower,
                  double upper, int32_t y);

template <typename F>
Status emit_with_clamp(const EmitContext& c, F emit) {
  const FusedActivation fused = fused_activation(c.node.attrs);
  if (fused.is_exact) return emit(c.out(), fused.activation);
  const int32_t open = c.file.temporary(c.out_type(), c.name("open"));
  EW_TRY_VOID(emit(open, Activation::kNone));
  return emit_clamp(c, open, c.out_type(), c.node.attrs.number("clamp_min"),
                    c.node.attrs.number("clamp_max"), c.out());
}

}  // namespace ew::formats::tflite
