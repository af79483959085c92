#pragma once
// Tensor types, owned tensors, and the views that operators compute on.

#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"

namespace ew::ir {

/// Affine quantisation: real = scale * (stored - zero_point). One entry per tensor, or one per
/// index of `axis` flattened with the dimensions after it: weights have their output channels last
/// (dense and convolution kernels: the last axis; a depthwise kernel [..., C, M]: axis C), with
/// zero points 0. The kernel [..., O, C] of a transposed convolution has one entry per O. Both
/// vectors have the same length.
struct QuantParams {
  std::vector<float> scales;
  std::vector<int32_t> zero_points;
  int axis = -1;  ///< -1: per tensor

  bool operator==(const QuantParams&) const = default;
};

struct TensorType {
  DType dtype = DType::kF32;
  Shape shape;
  std::shared_ptr<const QuantParams> quant;  ///< null for real-valued tensors

  bool operator==(const TensorType& other) const {
    return dtype == other.dtype && shape == other.shape &&
           (quant == other.quant || (quant && other.quant && *quant == *other.quant));
  }
};

/// "float32(None, 28, 28, 1)", with quantisation "int8(1, 10) scale 0.1 zero 3".
std::string to_string(const TensorType& type);

/// Bytes aligned to 64: its own, zero-filled, or read-only ones that belong to `owner` (a mapped
/// file), which lives as long.
class Buffer {
 public:
  explicit Buffer(size_t bytes);
  Buffer(const void* data, size_t bytes, std::shared_ptr<const void> owner);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  void* data() { return data_; }
  const void* data() const { return data_; }
  size_t size() const { return size_; }
  /// Null for bytes of its own.
  const void* owner() const { return owner_.get(); }

 private:
  void* data_;
  size_t size_;
  std::shared_ptr<const void> owner_;
};

/// A tensor with static shape that owns its elements (row-major). Copies share storage until one of
/// them is written to (copy on write), so it behaves as a value. A copy may be read from several
/// threads; writing needs exclusive use.
class Tensor {
 public:
  Tensor() = default;
  /// Zero-filled. The shape must be static; untrusted shapes go through check_shape() first.
  explicit Tensor(TensorType type);
  Tensor(DType dtype, Shape shape) : Tensor(TensorType{dtype, std::move(shape), nullptr}) {}
  template <typename T>
  static Tensor from(std::span<const T> values, Shape shape) {
    Tensor t(kDTypeOf<T>, std::move(shape));
    EW_DCHECK(static_cast<int64_t>(values.size()) == t.size());
    if (!values.empty()) std::memcpy(t.mutable_data(), values.data(), values.size_bytes());
    return t;
  }
  template <typename T>
  static Tensor from(const std::vector<T>& values, Shape shape) {
    return from(std::span<const T>(values), std::move(shape));
  }
  /// Elements that lie in memory of `owner`, aligned to 64; the first write copies them.
  static Tensor borrowed(TensorType type, const void* data, std::shared_ptr<const void> owner);
  static Tensor scalar(float value) { return from<float>(std::vector<float>{value}, Shape{}); }

  const TensorType& type() const { return type_; }
  DType dtype() const { return type_.dtype; }
  const Shape& shape() const { return type_.shape; }
  int64_t size() const { return size_; }
  size_t size_bytes() const { return static_cast<size_t>(size_) * dtype_size(type_.dtype); }
  bool empty() const { return size_ == 0; }

  const void* data() const { return buffer_ ? buffer_->data() : nullptr; }
  void* mutable_data();
  /// Of borrowed elements; null for the tensor's own.
  const void* owner() const { return buffer_ ? buffer_->owner() : nullptr; }
  template <typename T>
  std::span<const T> values() const {
    EW_DCHECK(kDTypeOf<T> == type_.dtype);
    return {static_cast<const T*>(data()), static_cast<size_t>(size_)};
  }
  template <typename T>
  std::span<T> mutable_values() {
    EW_DCHECK(kDTypeOf<T> == type_.dtype);
    return {static_cast<T*>(mutable_data()), static_cast<size_t>(size_)};
  }

  /// The same elements as another dtype.
  Tensor cast(DType dtype) const;
  /// The same elements in another shape with the same count.
  Tensor reshaped(Shape shape) const;
  void set_quant(std::shared_ptr<const QuantParams> quant) { type_.quant = std::move(quant); }

 private:
  TensorType type_;
  int64_t size_ = 0;
  std::shared_ptr<Buffer> buffer_;
};

/// Read access to a tensor somewhere in memory. `type` is null for an absent optional input.
struct ConstTensorView {
  const TensorType* type = nullptr;
  const void* data = nullptr;

  ConstTensorView() = default;
  ConstTensorView(const TensorType* t, const void* d) : type(t), data(d) {}
  ConstTensorView(const Tensor& tensor) : type(&tensor.type()), data(tensor.data()) {}  // NOLINT

  explicit operator bool() const { return type != nullptr; }
  DType dtype() const { return type->dtype; }
  const Shape& shape() const { return type->shape; }
  int64_t size() const { return type->shape.num_elements(); }
  template <typename T>
  const T* as() const {
    EW_DCHECK(kDTypeOf<T> == type->dtype);
    return static_cast<const T*>(data);
  }
};

/// Write access to a tensor somewhere in memory.
struct TensorView {
  const TensorType* type = nullptr;
  void* data = nullptr;

  TensorView() = default;
  TensorView(const TensorType* t, void* d) : type(t), data(d) {}
  explicit TensorView(Tensor& tensor) : type(&tensor.type()), data(tensor.mutable_data()) {}

  operator ConstTensorView() const { return {type, data}; }  // NOLINT
  DType dtype() const { return type->dtype; }
  const Shape& shape() const { return type->shape; }
  int64_t size() const { return type->shape.num_elements(); }
  template <typename T>
  T* as() const {
    EW_DCHECK(kDTypeOf<T> == type->dtype);
    return static_cast<T*>(data);
  }
};

}  // namespace ew::ir
