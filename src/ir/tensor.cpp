#include "ir/tensor.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace ew::ir {

std::string to_string(const TensorType& type) {
  std::string out = str(dtype_name(type.dtype), to_string(type.shape));
  if (type.quant) {
    if (type.quant->axis >= 0) return str(out, " per axis ", type.quant->axis);
    out += str(" scale ", type.quant->scales[0], " zero ", type.quant->zero_points[0]);
  }
  return out;
}

namespace {

constexpr size_t kHugePage = size_t{2} << 20;

// Large buffers lie on huge pages where the system has them: training steps miss the TLB less.
size_t alignment_of(size_t bytes) { return bytes >= 2 * kHugePage ? kHugePage : 64; }

}  // namespace

Buffer::Buffer(size_t bytes)
    : data_(::operator new(std::max<size_t>(bytes, 1), std::align_val_t{alignment_of(bytes)})),
      size_(bytes) {
#ifdef MADV_HUGEPAGE
  if (alignment_of(bytes) == kHugePage)
    ::madvise(data_, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  std::memset(data_, 0, bytes);
}

Buffer::Buffer(const void* data, size_t bytes, std::shared_ptr<const void> owner)
    : data_(const_cast<void*>(data)),  // never written: mutable_data() copies first
      size_(bytes),
      owner_(std::move(owner)) {}

Buffer::~Buffer() {
  if (!owner_) ::operator delete(data_, std::align_val_t{alignment_of(size_)});
}

Tensor::Tensor(TensorType type)
    : type_(std::move(type)),
      size_(type_.shape.num_elements()),
      buffer_(std::make_shared<Buffer>(static_cast<size_t>(size_) * dtype_size(type_.dtype))) {}

Tensor Tensor::borrowed(TensorType type, const void* data, std::shared_ptr<const void> owner) {
  Tensor tensor;
  tensor.type_ = std::move(type);
  tensor.size_ = tensor.type_.shape.num_elements();
  tensor.buffer_ = std::make_shared<Buffer>(data, tensor.size_bytes(), std::move(owner));
  return tensor;
}

void* Tensor::mutable_data() {
  if (!buffer_) return nullptr;
  if (buffer_.use_count() > 1 || buffer_->owner() != nullptr) {
    auto copy = std::make_shared<Buffer>(buffer_->size());
    if (buffer_->size() > 0) std::memcpy(copy->data(), buffer_->data(), buffer_->size());
    buffer_ = std::move(copy);
  }
  return buffer_->data();
}

Tensor Tensor::cast(DType dtype) const {
  if (dtype == type_.dtype) return *this;
  Tensor out(dtype, type_.shape);
  convert_elements(type_.dtype, data(), dtype, out.mutable_data(), size_);
  return out;
}

Tensor Tensor::reshaped(Shape shape) const {
  EW_DCHECK(shape.num_elements() == size_);
  Tensor out = *this;
  out.type_.shape = std::move(shape);
  return out;
}

}  // namespace ew::ir
