#include "base/shape.h"

#include <algorithm>

namespace ew {

bool Shape::is_static() const {
  return std::all_of(dims_.begin(), dims_.end(), [](int64_t d) { return d >= 0; });
}

int64_t Shape::num_elements() const { return product(0, rank()); }

int64_t Shape::product(int begin, int end) const {
  int64_t n = 1;
  for (int i = begin; i < end; ++i) n *= dims_[static_cast<size_t>(i)];
  return n;
}

std::string to_string(const Shape& shape) {
  std::string out = "(";
  for (int i = 0; i < shape.rank(); ++i) {
    if (i > 0) out += ", ";
    out += shape[i] == kUnknown ? std::string("None") : str(shape[i]);
  }
  if (shape.rank() == 1) out += ",";
  return out + ")";
}

Status check_shape(const Shape& shape) {
  if (shape.rank() > 8) {
    return make_error(ErrorCode::kResourceLimit, "rank ", shape.rank(), " is above the limit of 8");
  }
  int64_t n = 1;
  for (const int64_t d : shape) {
    if (d < 0) return invalid_data("shape ", shape, " has a negative dimension");
    if (d > 0 && n > kMaxElements / d) {
      return make_error(ErrorCode::kResourceLimit, "shape ", shape, " has more than ", kMaxElements,
                        " elements");
    }
    n *= std::max<int64_t>(d, 1);
  }
  return {};
}

Status check_open_shape(const Shape& shape) {
  Shape known = shape;
  std::replace(known.dims().begin(), known.dims().end(), kUnknown, int64_t{1});
  return check_shape(known);
}

Result<Shape> broadcast(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> dims(static_cast<size_t>(rank));
  for (int i = 1; i <= rank; ++i) {
    const int64_t da = i <= a.rank() ? a[a.rank() - i] : 1;
    const int64_t db = i <= b.rank() ? b[b.rank() - i] : 1;
    int64_t& d = dims[static_cast<size_t>(rank - i)];
    if (da == 1 || (da == kUnknown && db != 1))
      d = db;
    else if (da == db || db == 1 || db == kUnknown)
      d = da;
    else
      return invalid_argument("shapes ", a, " and ", b, " cannot be broadcast together");
  }
  return Shape(std::move(dims));
}

Result<int> normalize_axis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) {
    return invalid_argument("axis ", axis, " out of range for rank ", rank);
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

std::vector<int64_t> strides_of(const Shape& shape) {
  std::vector<int64_t> strides(static_cast<size_t>(shape.rank()), 1);
  for (int i = shape.rank() - 2; i >= 0; --i) {
    strides[static_cast<size_t>(i)] = strides[static_cast<size_t>(i) + 1] * shape[i + 1];
  }
  return strides;
}

}  // namespace ew
