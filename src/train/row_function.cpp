#include "train/row_function.h"

#include <algorithm>

#include "train/keras_object.h"

namespace ew::train {
namespace {

bool fits(int64_t a, int64_t b) { return a == b || a == kUnknown || b == kUnknown; }

bool dims_fit(std::span<const int64_t> a, std::span<const int64_t> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), fits);
}

Result<std::vector<bool>> row_axes(const RowFunction& function, int rank) {
  std::vector<bool> in_row(static_cast<size_t>(rank), false);
  for (const int64_t axis : function.axes(rank)) {
    EW_TRY(const int i, normalize_axis(axis, rank));
    in_row[static_cast<size_t>(i)] = true;
  }
  return in_row;
}

}  // namespace

Status check_row_shapes(const RowFunction& function, const Shape& prediction, const Shape& target) {
  const auto axes = row_axes(function, prediction.rank());
  if (!axes.ok()) return axes.error();
  const std::span<const int64_t> p = prediction.dims();
  const std::span<const int64_t> t = target.dims();
  bool ok = false;
  if (function.is_sparse()) {
    const auto labels = p.first(p.empty() ? 0 : p.size() - 1);
    ok = !p.empty() && (dims_fit(t, labels) || (t.size() == p.size() && fits(t.back(), 1) &&
                                                dims_fit(t.first(t.size() - 1), labels)));
  } else if (t.size() == p.size()) {
    ok = dims_fit(t, p);
  } else if (t.size() + 1 == p.size()) {
    ok = fits(p.back(), 1) && dims_fit(t, p.first(t.size()));
  } else if (t.size() == p.size() + 1) {
    ok = fits(t.back(), 1) && dims_fit(t.first(p.size()), p);
  }
  if (ok) return {};
  return invalid_argument("targets of shape ", target, " do not fit predictions of shape ",
                          prediction, function.is_sparse() ? " (expected class numbers)" : "");
}

Result<Shape> row_values_shape(const RowFunction& function, const Shape& prediction) {
  EW_TRY(const std::vector<bool> in_row, row_axes(function, prediction.rank()));
  std::vector<int64_t> dims;
  for (size_t i = 0; i < in_row.size(); ++i) {
    if (!in_row[i]) dims.push_back(prediction.dims()[i]);
  }
  return Shape(std::move(dims));
}

void RowReader::lay_out(const Shape& prediction, const std::vector<bool>& in_row) {
  const auto first = std::find(in_row.begin(), in_row.end(), true);
  is_contiguous_ = std::find(first, in_row.end(), false) == in_row.end();
  size_ = 1;
  rows_ = 1;
  for (size_t i = 0; i < in_row.size(); ++i) (in_row[i] ? size_ : rows_) *= prediction.dims()[i];
  bases_.clear();
  offsets_.clear();
  if (is_contiguous_) return;
  // All sums of index * stride over the axes of one kind, in row-major order.
  const std::vector<int64_t> strides = strides_of(prediction);
  const auto enumerate = [&](bool kind) {
    std::vector<int64_t> out{0};
    for (size_t axis = 0; axis < in_row.size(); ++axis) {
      if (in_row[axis] != kind) continue;
      std::vector<int64_t> next;
      for (const int64_t base : out) {
        for (int64_t i = 0; i < prediction.dims()[axis]; ++i)
          next.push_back(base + i * strides[axis]);
      }
      out = std::move(next);
    }
    return out;
  };
  bases_ = enumerate(false);
  offsets_ = enumerate(true);
  row_prediction_.resize(offsets_.size());
  row_target_.resize(offsets_.size());
  row_gradient_.resize(offsets_.size());
}

Status RowReader::bind(const ir::ConstTensorView& prediction, const ir::ConstTensorView& target) {
  // A prediction without a batch axis is one row per element.
  const Shape shape =
      prediction.shape().rank() == 1 ? Shape{prediction.shape()[0], 1} : prediction.shape();
  if (shape != prediction_shape_ || target.shape() != target_shape_) {
    EW_TRY_VOID(check_row_shapes(function_, shape, target.shape()));
    EW_TRY(const std::vector<bool> in_row, row_axes(function_, shape.rank()));
    EW_TRY(values_shape_, row_values_shape(function_, shape));
    lay_out(shape, in_row);
    if (size_ == 0) return invalid_argument("predictions of shape ", shape, " have empty rows");
    prediction_shape_ = shape;
    target_shape_ = target.shape();
  }
  const auto as_floats = [](const ir::ConstTensorView& view, std::vector<float>& converted) {
    if (view.dtype() == DType::kF32) return view.as<float>();
    converted.resize(static_cast<size_t>(view.size()));
    convert_elements(view.dtype(), view.data, DType::kF32, converted.data(), view.size());
    return static_cast<const float*>(converted.data());
  };
  prediction_ = as_floats(prediction, converted_prediction_);
  if (function_.is_sparse()) {
    labels_.resize(static_cast<size_t>(target.size()));
    convert_elements(target.dtype(), target.data, DType::kI64, labels_.data(), target.size());
  } else {
    target_ = as_floats(target, converted_target_);
    function_.prepare(target_, target.size());
  }
  return {};
}

float RowReader::evaluate(int64_t row, float scale, bool is_logits, float* gradient) {
  Row r;
  r.size = size_;
  r.scale = scale;
  r.is_logits = is_logits;
  if (function_.is_sparse()) r.label = labels_[static_cast<size_t>(row)];
  if (is_contiguous_) {
    const int64_t base = row * size_;
    r.prediction = prediction_ + base;
    r.target = function_.is_sparse() ? nullptr : target_ + base;
    r.gradient = gradient ? gradient + base : nullptr;
    return function_.evaluate(r);
  }
  const int64_t base = bases_[static_cast<size_t>(row)];
  for (size_t i = 0; i < offsets_.size(); ++i) {
    row_prediction_[i] = prediction_[base + offsets_[i]];
    if (!function_.is_sparse()) row_target_[i] = target_[base + offsets_[i]];
  }
  r.prediction = row_prediction_.data();
  r.target = function_.is_sparse() ? nullptr : row_target_.data();
  r.gradient = gradient ? row_gradient_.data() : nullptr;
  const float value = function_.evaluate(r);
  for (size_t i = 0; gradient && i < offsets_.size(); ++i) {
    gradient[base + offsets_[i]] = row_gradient_[i];
  }
  return value;
}

void RowReader::clear_gradient(int64_t row, float* gradient) const {
  if (!gradient) return;
  if (is_contiguous_) {
    std::fill_n(gradient + row * size_, size_, 0.0f);
    return;
  }
  for (const int64_t offset : offsets_) gradient[bases_[static_cast<size_t>(row)] + offset] = 0;
}

Status multiply_weights(const ir::ConstTensorView& weight, const Shape& values, float* out) {
  std::vector<int64_t> dims = weight.shape().dims();
  while (dims.size() > static_cast<size_t>(values.rank()) && dims.back() == 1) dims.pop_back();
  bool ok = dims.size() <= static_cast<size_t>(values.rank());
  for (size_t i = 0; ok && i < dims.size(); ++i) {
    ok = dims[i] == 1 || dims[i] == values.dims()[i];
  }
  if (!ok) {
    return invalid_argument("weights of shape ", weight.shape(), " do not fit values of shape ",
                            values);
  }
  const std::vector<int64_t> value_strides = strides_of(values);
  const std::vector<int64_t> weight_strides = strides_of(Shape(dims));
  const int64_t count = values.num_elements();
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = 0;
    for (size_t d = 0; d < dims.size(); ++d) {
      if (dims[d] != 1) at += i / value_strides[d] % dims[d] * weight_strides[d];
    }
    float w = 0;
    const auto* bytes = static_cast<const char*>(weight.data);
    convert_elements(weight.dtype(), bytes + static_cast<size_t>(at) * dtype_size(weight.dtype()),
                     DType::kF32, &w, 1);
    out[i] *= w;
  }
  return {};
}

Result<const LossClass*> find_loss_class(std::string_view name) {
  const std::string key = fold_name(name);
  std::vector<std::string> known;
  for (const auto& group : {regression_losses(), crossentropy_losses(), other_losses()}) {
    for (const LossClass& loss : group) {
      for (const char* spelling : {loss.class_name, loss.name, loss.alias}) {
        if (*spelling != '\0' && fold_name(spelling) == key) return &loss;
      }
      known.emplace_back(loss.name);
      if (*loss.alias != '\0') known.emplace_back(loss.alias);
    }
  }
  for (const char* other : {"ctc", "circle"}) {
    if (key == other) return unsupported("loss: ", name, " is not supported");
  }
  if (key == "kullbackleiblerdivergence") return find_loss_class("kld");
  return unknown_name("loss", name, known);
}

Config complete_loss_arguments(const LossClass& loss, const Config& config) {
  Config out = loss.defaults();
  for (const auto& [key, value] : config.as_map()) {
    if (out.has(key)) out.set(key, value);
  }
  return out;
}

}  // namespace ew::train
