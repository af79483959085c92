#pragma once
// The weights while they are trained: trainable ones side by side in one array, so that the
// optimizer sees one vector, with their gradients in the same layout.

#include <memory>
#include <span>
#include <vector>

#include "ir/graph.h"

namespace ew::train {

class ParameterStore {
 public:
  /// Takes the values of every parameter of `graph`. Error kUnsupported: a trainable parameter that
  /// is not float32 (policies that compute in half precision keep float32 variables).
  static Result<ParameterStore> create(const ir::Graph& graph);

  /// Number of parameters; index k is the k-th of graph.parameters(), in every specialised copy.
  size_t size() const { return entries_.size(); }
  bool is_trainable(size_t k) const { return entries_[k].gradient != nullptr; }
  const ir::Value& description(size_t k) const { return entries_[k].value; }
  void* data(size_t k) { return entries_[k].data; }
  const void* data(size_t k) const { return entries_[k].data; }
  float* value(size_t k) { return static_cast<float*>(entries_[k].data); }
  /// Null unless trainable.
  float* gradient(size_t k) { return entries_[k].gradient; }
  int64_t elements(size_t k) const { return entries_[k].value.type.shape.num_elements(); }
  /// Indices of trainable parameters, in order.
  const std::vector<size_t>& trainable() const { return trainable_; }

  /// Writes the current values back into a graph with the same parameters.
  void copy_to(ir::Graph& graph) const;
  /// Reads them again from such a graph.
  void copy_from(const ir::Graph& graph);
  /// All values, for a snapshot of the best epoch.
  std::vector<uint8_t> snapshot() const;
  void restore(std::span<const uint8_t> snapshot);

 private:
  struct Entry {
    ir::Value value;  // without data
    void* data = nullptr;
    float* gradient = nullptr;
  };
  std::vector<Entry> entries_;
  std::vector<size_t> trainable_;
  std::unique_ptr<ir::Buffer> values_;
  std::unique_ptr<ir::Buffer> gradients_;
};

}  // namespace ew::train
