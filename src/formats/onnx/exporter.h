#pragma once
// What the functions that write operators share.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "formats/onnx/wire.h"
#include "ops/ops.h"

namespace ew::formats::onnx {

using ir::kNoValue;
using ir::Tensor;
using ir::ValueId;

using ExportAttr = std::variant<int64_t, double, std::string, std::vector<int64_t>,
                                std::vector<double>, std::vector<std::string>>;
using ExportAttrs = std::vector<std::pair<const char*, ExportAttr>>;

/// Appends ONNX nodes. A value has a name in the graph's layout and, where convolutions need it,
/// one with the channels first. The first error sticks.
class Exporter {
 public:
  /// `weights`: the dtype of float kernels.
  explicit Exporter(const ir::Graph& graph, DType weights = DType::kF32)
      : g_(graph), weights_(weights) {}

  Result<std::string> run();

  const ir::Graph& graph() const { return g_; }
  const ir::TensorType& type(ValueId id) const { return g_.type(id); }

  /// The real-valued tensor's name, in the graph's layout or channels first.
  std::string name(ValueId id);
  std::string first(ValueId id);
  bool has_first(ValueId id) const { return first_.contains(id); }
  bool has_plain(ValueId id) const { return plain_.contains(id); }
  /// The stored data of a parameter or constant, or null.
  const Tensor* constant(ValueId id) const;

  /// Adds a node with one output and returns that one's name. An operator of another domain than
  /// ONNX' own is written "domain:Name".
  std::string add(const char* op, const std::vector<std::string>& inputs,
                  const ExportAttrs& attrs = {});
  std::vector<std::string> add_multi(const char* op, const std::vector<std::string>& inputs,
                                     size_t outputs, const ExportAttrs& attrs = {});
  std::string initializer(const Tensor& tensor, const std::string& hint);
  std::string ints(const std::vector<int64_t>& values);
  std::string number(double value, DType dtype);

  /// Says what a node's output is called; quantised outputs get their pair of nodes.
  void set(ValueId id, std::string name, bool channels_first = false);

  /// A kernel permuted for ONNX, dequantised if it is int8 (its channels then on `axis`).
  std::string kernel(ValueId id, const std::vector<int64_t>& perm, const Shape& shape, int axis);
  std::string vector(ValueId id);

  void fail(Error error) {
    if (status_.ok()) status_ = std::move(error);
  }
  bool ok() const { return status_.ok(); }

 private:
  std::string unique(const std::string& hint);
  std::string quantised_pair(const std::string& real, const ir::QuantParams& q);
  std::string dequantised(const Tensor& stored, const ir::QuantParams& q, int axis,
                          const std::string& hint);
  void write_ports();

  const ir::Graph& g_;
  DType weights_;
  Status status_;
  WireWriter body_;
  WireWriter initializers_;
  WireWriter ports_;
  std::map<ValueId, std::string> plain_;
  std::map<ValueId, std::string> first_;
  std::set<std::string> names_;
  bool uses_runtime_domain_ = false;
};

/// Writes one node of the graph; false if the operator has no form.
bool export_node(Exporter& e, const ir::Node& node);
bool export_window_node(Exporter& e, const ir::Node& node);
bool export_recurrent_node(Exporter& e, const ir::Node& node);
bool export_signal_node(Exporter& e, const ir::Node& node);

/// Dimension d of a channels-last tensor as the channels-first one counts it.
inline int64_t first_axis(int64_t d, int rank) { return d == 0 ? 0 : d == rank - 1 ? 1 : d + 1; }

}  // namespace ew::formats::onnx
