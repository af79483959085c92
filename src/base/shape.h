#pragma once
// Tensor shapes. A dimension is a size >= 0 or kUnknown (a symbolic batch or sequence length).

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace ew {

inline constexpr int64_t kUnknown = -1;

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : dims_(dims) {}
  explicit Shape(std::vector<int64_t> dims) : dims_(std::move(dims)) {}
  explicit Shape(std::span<const int64_t> dims) : dims_(dims.begin(), dims.end()) {}

  int rank() const { return static_cast<int>(dims_.size()); }
  int64_t operator[](int i) const { return dims_[static_cast<size_t>(i < 0 ? i + rank() : i)]; }
  int64_t& operator[](int i) { return dims_[static_cast<size_t>(i < 0 ? i + rank() : i)]; }
  const std::vector<int64_t>& dims() const { return dims_; }
  std::vector<int64_t>& dims() { return dims_; }
  auto begin() const { return dims_.begin(); }
  auto end() const { return dims_.end(); }
  bool operator==(const Shape&) const = default;

  /// Whether no dimension is kUnknown.
  bool is_static() const;
  /// Product of all dimensions (1 for a scalar). Requires is_static().
  int64_t num_elements() const;
  /// Product of dimensions [begin, end).
  int64_t product(int begin, int end) const;

 private:
  std::vector<int64_t> dims_;
};

/// "(None, 28, 28, 1)".
std::string to_string(const Shape& shape);

/// Most elements that one tensor of untrusted origin may have (2^31 - 1, as in most runtimes).
inline constexpr int64_t kMaxElements = (int64_t{1} << 31) - 1;

/// Checks a shape of untrusted origin: rank <= 8, dims >= 0, product <= kMaxElements.
/// Error kResourceLimit otherwise.
Status check_shape(const Shape& shape);
/// The same for a shape that may have kUnknown dimensions; they count as 1.
Status check_open_shape(const Shape& shape);

/// NumPy broadcasting of two shapes; unknown dimensions stay unknown unless the other decides.
/// Error kInvalidArgument if they do not fit.
Result<Shape> broadcast(const Shape& a, const Shape& b);

/// `axis` in [-rank, rank) as [0, rank). Error kInvalidArgument: "axis 2 out of range for rank 2".
Result<int> normalize_axis(int64_t axis, int rank);

/// Row-major strides in elements.
std::vector<int64_t> strides_of(const Shape& shape);

}  // namespace ew
