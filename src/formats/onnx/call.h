#pragma once
// One ONNX node while it is read: its inputs, attributes and outputs, and the lowerings that many
// operators share. The first error sticks to the builder, so that handlers read as straight lines;
// after one, ids are kNoValue and vectors empty.

#include <optional>
#include <string>
#include <vector>

#include "formats/onnx/importer.h"

namespace ew::formats::onnx {

class Call {
 public:
  Call(Importer& importer, const NodeProto& node, int64_t opset)
      : m_(importer), node_(node), opset_(opset) {}

  Importer& m() { return m_; }
  const NodeProto& node() const { return node_; }
  int64_t opset() const { return opset_; }
  bool ok() const { return m_.ok(); }
  /// Records an error; the node's name is put before it.
  template <typename... Parts>
  ValueId fail(const Parts&... parts) {
    return m_.b().fail(at(where(), invalid_data(parts...)));
  }
  template <typename... Parts>
  ValueId unsupported(const Parts&... parts) {
    return m_.b().fail(at(where(), ew::unsupported(parts...)));
  }
  std::string where() const;

  // Inputs.
  size_t count() const { return node_.inputs.size(); }
  bool has(size_t i) const { return i < count() && !node_.inputs[i].empty(); }
  /// Never null; an error where the input is absent.
  ValPtr val(size_t i);
  ValueId x(size_t i = 0);       ///< as the file lays it out
  ValueId optional_x(size_t i);  ///< kNoValue where absent
  Shape shape(ValueId id) const { return m_.b().shape(id); }
  /// Dimensions [begin, end) of x; end may be negative, to count from the last one, or 0 for all.
  std::vector<int64_t> dims(ValueId x, int begin, int end = 0) const;
  int rank(ValueId id) const { return m_.b().type(id).shape.rank(); }
  DType dtype(ValueId id) const { return m_.b().type(id).dtype; }
  /// `axis` within [0, rank) of x.
  int axis_of(int64_t axis, ValueId x);
  /// A value that must be known now: integers of any rank, all in a row.
  std::vector<int64_t> known_ints(size_t i, const char* what);
  Tensor known(size_t i, const char* what);
  double known_number(size_t i, const char* what);
  /// Sizes of which some may be open (symbols < -1).
  std::vector<int64_t> sizes(size_t i, const char* what);
  /// The whole shape; an error that asks for input shapes where it is open.
  bool need_static(ValueId id, const char* what);

  // Attributes.
  const AttributeProto* attribute(std::string_view name) const;
  int64_t integer(std::string_view name, int64_t fallback);
  double number(std::string_view name, double fallback);
  std::string text(std::string_view name, std::string_view fallback);
  std::vector<int64_t> ints(std::string_view name);
  std::vector<double> numbers(std::string_view name);
  std::vector<std::string> texts(std::string_view name);
  /// The attribute up to opset `last`, the input `i` after it; nothing where neither is given.
  std::optional<std::vector<int64_t>> ints_or_input(std::string_view name, int64_t last, size_t i);

  // Outputs.
  size_t output_count() const { return node_.outputs.size(); }
  bool wants(size_t i) const { return i < output_count() && !node_.outputs[i].empty(); }
  void set(size_t i, ValueId id, Layout layout = kPlain);
  void set(size_t i, ValPtr value);

  // Operators on ids.
  ValueId emit(const OpDef& op, std::vector<ValueId> in, Attrs attrs = {}) {
    return m_.emit(op, std::move(in), std::move(attrs));
  }
  /// An elementwise operator on the first `n` inputs, channels last where its inputs are; sets the
  /// output.
  void elementwise(const OpDef& op, size_t n, Attrs attrs = {});
  /// The same for a composition f(inputs) of such operators.
  void elementwise(size_t n, const std::function<ValueId(const std::vector<ValueId>&)>& f);
  ValueId scalar(double value, DType dtype);
  ValueId scalar_like(double value, ValueId like) { return scalar(value, dtype(like)); }
  ValueId ints_constant(const std::vector<int64_t>& values);
  ValueId cast(ValueId x, DType to);
  ValueId reshape(ValueId x, std::vector<int64_t> shape);
  ValueId transpose(ValueId x, std::vector<int64_t> perm);
  ValueId unsqueeze(ValueId x, std::vector<int64_t> axes);
  /// Elements [begin, end) with `stride` along one dimension.
  ValueId slice(ValueId x, int axis, int64_t begin, int64_t end, int64_t stride = 1);
  ValueId concat(std::vector<ValueId> parts, int64_t axis);
  ValueId broadcast(ValueId x, const Shape& shape);
  /// "sum", "mean", "max", "min", "prod" over axes (empty: all), for every numeric dtype.
  ValueId reduce(const char* kind, ValueId x, std::vector<int64_t> axes, bool keepdims);
  ValueId add(ValueId a, ValueId b) { return emit(ops::kAdd, {a, b}); }
  ValueId sub(ValueId a, ValueId b) { return emit(ops::kSub, {a, b}); }
  ValueId mul(ValueId a, ValueId b) { return emit(ops::kMul, {a, b}); }
  ValueId div(ValueId a, ValueId b) { return emit(ops::kDiv, {a, b}); }
  ValueId logical_not(ValueId x);
  /// Row numbers with negative ones counted from the end of `size`.
  ValueId wrap_ids(ValueId ids, int64_t size);
  /// 0, 1, ... n-1 as int64.
  ValueId iota(int64_t n);

 private:
  Importer& m_;
  const NodeProto& node_;
  int64_t opset_;
};

using Handler = void (*)(Call& c);

/// The handler of an operator, or null. `domain` is "" for ONNX' own, or "com.microsoft".
Handler find_handler(std::string_view domain, std::string_view op_type);

}  // namespace ew::formats::onnx
