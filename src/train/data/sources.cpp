#include "train/data/sources.h"

#include <algorithm>
#include <numeric>

namespace ew::train {

int64_t Split::size() const {
  if (!x.empty()) return x[0].shape()[0];
  return y.empty() ? 0 : y[0].shape()[0];
}

void* prepare_tensor(Tensor& tensor, DType dtype, const Shape& shape) {
  if (tensor.dtype() != dtype || tensor.data() == nullptr ||
      tensor.size() != shape.num_elements()) {
    tensor = Tensor(dtype, shape);
  } else if (tensor.shape() != shape) {
    tensor = tensor.reshaped(shape);
  }
  return tensor.mutable_data();
}

Shape batch_shape(int64_t rows, const Shape& sample) {
  std::vector<int64_t> dims{rows};
  dims.insert(dims.end(), sample.begin(), sample.end());
  return Shape(std::move(dims));
}

Shape sample_shape(const Shape& batch) {
  return Shape(std::vector<int64_t>(batch.begin() + 1, batch.end()));
}

Status check_rows(std::span<const int64_t> rows, int64_t size) {
  for (const int64_t row : rows) {
    if (row < 0 || row >= size) {
      return invalid_argument("row ", row, " is outside the data set of ", size, " rows");
    }
  }
  return {};
}

DType target_dtype(DType stored) { return is_floating(stored) ? DType::kF32 : DType::kI32; }

namespace {

// Shuffled rows of a large array are not in any cache; asking for them early hides the wait.
constexpr size_t kRowsAhead = 2;
constexpr size_t kMostAhead = 4096;

void fetch_ahead(const uint8_t* row, size_t bytes) {
  for (size_t i = 0; i < std::min(bytes, kMostAhead); i += 64) __builtin_prefetch(row + i);
}

}  // namespace

void gather_rows(ir::ConstTensorView stored, std::span<const int64_t> rows, Tensor& target,
                 DType dtype) {
  const Shape sample = sample_shape(stored.shape());
  const auto count = static_cast<int64_t>(rows.size());
  auto* to = static_cast<uint8_t*>(prepare_tensor(target, dtype, batch_shape(count, sample)));
  const auto* from = static_cast<const uint8_t*>(stored.data);
  const int64_t elements = sample.num_elements();
  const size_t from_bytes = static_cast<size_t>(elements) * dtype_size(stored.dtype());
  const size_t to_bytes = static_cast<size_t>(elements) * dtype_size(dtype);
  const auto row_at = [&](size_t i) { return from + static_cast<size_t>(rows[i]) * from_bytes; };
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i + kRowsAhead < rows.size()) fetch_ahead(row_at(i + kRowsAhead), from_bytes);
    convert_elements(stored.dtype(), row_at(i), dtype, to, elements);
    to += to_bytes;
  }
}

void read_targets(const std::vector<Tensor>& y, std::span<const int64_t> rows, Split& out) {
  out.y.resize(y.size());
  for (size_t i = 0; i < y.size(); ++i) {
    gather_rows(y[i], rows, out.y[i], target_dtype(y[i].dtype()));
  }
}

namespace {

class ArraySource final : public DataSource {
 public:
  ArraySource(std::vector<SharedRows> x, std::vector<SharedRows> y, SharedRows weights)
      : x_(std::move(x)), y_(std::move(y)), weights_(std::move(weights)) {
    for (const SharedRows& rows : x_) {
      x_types_.push_back({DType::kF32, sample_shape(rows.type.shape), nullptr});
      x_always_finite_ = x_always_finite_ && !is_floating(rows.type.dtype);
    }
    for (const SharedRows& rows : y_) {
      y_types_.push_back({target_dtype(rows.type.dtype), sample_shape(rows.type.shape), nullptr});
    }
  }

  int64_t size() const override { return x_[0].type.shape[0]; }
  const std::vector<SampleType>& x_types() const override { return x_types_; }
  const std::vector<SampleType>& y_types() const override { return y_types_; }
  bool has_weights() const override { return weights_.data != nullptr; }
  bool x_always_finite() const override { return x_always_finite_; }

  Status read(std::span<const int64_t> rows, Split& out, bool targets_only) const override {
    EW_TRY_VOID(check_rows(rows, size()));
    out.x.resize(targets_only ? 0 : x_.size());
    for (size_t i = 0; i < out.x.size(); ++i) gather_rows(x_[i], rows, out.x[i], DType::kF32);
    out.y.resize(y_.size());
    for (size_t i = 0; i < y_.size(); ++i) gather_rows(y_[i], rows, out.y[i], y_types_[i].dtype);
    if (has_weights()) {
      gather_rows(weights_, rows, out.weights, DType::kF32);
    } else {
      out.weights = Tensor();
    }
    return {};
  }

 private:
  std::vector<SharedRows> x_;
  std::vector<SharedRows> y_;
  SharedRows weights_;
  std::vector<SampleType> x_types_;
  std::vector<SampleType> y_types_;
  bool x_always_finite_ = true;
};

SharedRows rows_of(Tensor tensor) {
  if (tensor.data() == nullptr) return {};
  auto owner = std::make_shared<const Tensor>(std::move(tensor));
  return {owner->type(), {owner, owner->data()}};
}

std::vector<SharedRows> rows_of(std::vector<Tensor> tensors) {
  std::vector<SharedRows> rows;
  for (Tensor& tensor : tensors) rows.push_back(rows_of(std::move(tensor)));
  return rows;
}

class SubsetSource final : public DataSource {
 public:
  SubsetSource(SourcePtr source, std::vector<int64_t> rows)
      : source_(std::move(source)), rows_(std::move(rows)) {}

  int64_t size() const override { return static_cast<int64_t>(rows_.size()); }
  const std::vector<SampleType>& x_types() const override { return source_->x_types(); }
  const std::vector<SampleType>& y_types() const override { return source_->y_types(); }
  bool has_weights() const override { return source_->has_weights(); }
  bool x_always_finite() const override { return source_->x_always_finite(); }

  Status read(std::span<const int64_t> rows, Split& out, bool targets_only) const override {
    EW_TRY_VOID(check_rows(rows, size()));
    std::vector<int64_t> mapped(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) mapped[i] = rows_[static_cast<size_t>(rows[i])];
    return source_->read(mapped, out, targets_only);
  }

 private:
  SourcePtr source_;
  std::vector<int64_t> rows_;
};

}  // namespace

Result<SourcePtr> array_source(std::vector<SharedRows> x, std::vector<SharedRows> y,
                               SharedRows weights) {
  if (x.empty()) return invalid_argument("a data set needs at least one input array");
  std::vector<const Shape*> shapes;
  for (const SharedRows& rows : x) shapes.push_back(&rows.type.shape);
  for (const SharedRows& rows : y) shapes.push_back(&rows.type.shape);
  if (weights.data != nullptr) {
    if (weights.type.shape.rank() != 1) {
      return invalid_argument("sample weights: expected shape (rows,), found ", weights.type.shape);
    }
    shapes.push_back(&weights.type.shape);
  }
  for (const Shape* shape : shapes) {
    if (shape->rank() == 0) {
      return invalid_argument("expected an array with rows, found a single number");
    }
    if ((*shape)[0] != (*shapes[0])[0]) {
      return invalid_argument("arrays have different numbers of rows: ", *shapes[0], " and ",
                              *shape);
    }
  }
  return SourcePtr(std::make_shared<ArraySource>(std::move(x), std::move(y), std::move(weights)));
}

Result<SourcePtr> array_source(Split tensors) {
  return array_source(rows_of(std::move(tensors.x)), rows_of(std::move(tensors.y)),
                      rows_of(std::move(tensors.weights)));
}

SourcePtr subset(SourcePtr source, std::vector<int64_t> rows) {
  return std::make_shared<SubsetSource>(std::move(source), std::move(rows));
}

Result<Split> read_all(const DataSource& source) {
  std::vector<int64_t> rows(static_cast<size_t>(source.size()));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  Split out;
  EW_TRY_VOID(source.read(rows, out));
  return out;
}

}  // namespace ew::train
