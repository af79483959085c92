#pragma once
// What an operator is to the graph: a schema, a shape rule and a reference. Operators are known by
// the address of their OpDef; the instances live in src/ops/.

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ir/tensor.h"

namespace ew::ir {

using AttrValue =
    std::variant<bool, int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>;
std::string attr_text(const AttrValue& value);

/// The attributes of a node, by name. Reading a name that the schema lacks, or as another kind, is
/// our own mistake: Builder::add() fills in every default and checks names and kinds.
class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<const char*, AttrValue>> entries);

  bool has(std::string_view name) const { return find(name) != nullptr; }
  const AttrValue* find(std::string_view name) const;
  void set(std::string_view name, AttrValue value);

  bool flag(std::string_view name) const;
  int64_t integer(std::string_view name) const;
  double number(std::string_view name) const;
  const std::string& text(std::string_view name) const;
  const std::vector<int64_t>& ints(std::string_view name) const;
  const std::vector<double>& numbers(std::string_view name) const;

  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  bool operator==(const Attrs&) const = default;

 private:
  std::vector<std::pair<std::string, AttrValue>> entries_;
};

struct AttrDef {
  const char* name;
  AttrValue default_value;
};

/// Types of a node's inputs; null where an optional input is absent.
using InputTypes = std::span<const TensorType* const>;
using ConstViews = std::span<const ConstTensorView>;
using Views = std::span<const TensorView>;

/// Output types from input types. Unknown dimensions may come in and go out. Every error a model
/// file could cause is found here, so that references and kernels never fail.
using InferFn = Result<std::vector<TensorType>> (*)(InputTypes in, const Attrs& attrs);

/// Plain definition for real-valued tensors; called with f32 or f64 (half types are computed in f32
/// and rounded once by evaluate()), or with integer types where infer() lets them through.
using ReferenceFn = void (*)(ConstViews in, Views out, const Attrs& attrs);

/// How int8 kernels round when they rescale an accumulator (docs/design, "One arithmetic").
enum class Int8Profile { kTflm, kLitertRef, kXnnpack };
/// "tflm", "litert-ref" or "xnnpack".
const char* int8_profile_name(Int8Profile profile);
/// The profile of that name. Error kInvalidArgument for any other.
Result<Int8Profile> parse_int8_profile(std::string_view name);

/// Integer definition for quantised tensors (input and output types carry QuantParams).
using ReferenceI8Fn = void (*)(ConstViews in, Views out, const Attrs& attrs, Int8Profile profile);

/// Multiply-accumulates of one run, from static types.
using MacsFn = int64_t (*)(InputTypes in, std::span<const TensorType> out, const Attrs& attrs);

/// What an operator does to the quantisation of its output.
struct QuantRule {
  enum class Kind {
    kNone,         ///< no integer form: the node stays in float
    kCalibrated,   ///< output range from calibration
    kSameAsInput,  ///< output scale and zero point are those of input 0 (pooling, reshape, pad)
    kFixed,        ///< output scale and zero point are fixed by the specification (softmax)
  };
  Kind kind = Kind::kNone;
  float scale = 0;
  int32_t zero_point = 0;
  static constexpr QuantRule calibrated() { return {Kind::kCalibrated, 0, 0}; }
  static constexpr QuantRule same_as_input() { return {Kind::kSameAsInput, 0, 0}; }
  static constexpr QuantRule fixed(float s, int32_t z) { return {Kind::kFixed, s, z}; }
};

struct OpDef {
  const char* name;
  std::span<const AttrDef> attrs = {};
  int min_inputs = 1;
  int max_inputs = 1;  ///< -1: any number
  InferFn infer = nullptr;
  ReferenceFn reference = nullptr;
  ReferenceI8Fn reference_i8 = nullptr;
  QuantRule quant = {};
  MacsFn macs = nullptr;
  /// The output holds the input's elements in the same order (reshape): it may share its storage.
  bool is_view = false;
  /// The output may overwrite input 0 (elementwise, same shape and dtype).
  bool in_place = false;
  /// Behaves differently while training (dropout, batch_norm): train rewrites it.
  bool is_training_dependent = false;
};

/// Runs an operator's reference on any dtypes: half types are widened to f32 and rounded once;
/// quantised tensors go to reference_i8. Types must have passed infer().
void evaluate(const OpDef& op, ConstViews in, Views out, const Attrs& attrs,
              Int8Profile profile = Int8Profile::kTflm);

}  // namespace ew::ir
