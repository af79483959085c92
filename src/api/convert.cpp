#include "api/convert.h"

#include <cstring>

namespace ew::api {

ir::Tensor to_tensor(const Array& array) {
  ir::Tensor tensor(array.dtype(), Shape(array.shape()));
  if (array.size() > 0) std::memcpy(tensor.mutable_data(), array.data(), array.size_bytes());
  return tensor;
}

Array to_array(ir::Tensor tensor) {
  auto owner = std::make_shared<const ir::Tensor>(std::move(tensor));
  return Array(owner->dtype(), owner->shape().dims(), owner->data(), owner);
}

}  // namespace ew::api
