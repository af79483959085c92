// Arrays through Python's buffer protocol: nothing is copied, and NumPy is not needed.
#include <memory>
#include <string>

#include "module.h"

namespace ew::python {
namespace {

constexpr std::pair<DType, char> kFormats[] = {
    {DType::kF32, 'f'}, {DType::kF64, 'd'}, {DType::kF16, 'e'}, {DType::kI8, 'b'},
    {DType::kU8, 'B'},  {DType::kI16, 'h'}, {DType::kU16, 'H'}, {DType::kI32, 'i'},
    {DType::kU32, 'I'}, {DType::kI64, 'q'}, {DType::kU64, 'Q'}, {DType::kBool, '?'}};

/// The struct module's letter; 0 for bfloat16, which has none.
char format_of(DType dtype) {
  for (const auto& [type, letter] : kFormats) {
    if (type == dtype) return letter;
  }
  return 0;
}

DType dtype_of(const py::buffer_info& info) {
  std::string format = info.format;
  if (!format.empty() && (format[0] == '@' || format[0] == '=')) format.erase(0, 1);
  if (format == "l") format = sizeof(long) == 8 ? "q" : "i";
  if (format == "L") format = sizeof(long) == 8 ? "Q" : "I";
  for (const auto& [type, letter] : kFormats) {
    if (format == std::string(1, letter)) return type;
  }
  throw py::type_error("cannot take elements of format '" + info.format + "'");
}

bool is_contiguous(const py::buffer_info& info) {
  py::ssize_t stride = info.itemsize;
  for (py::ssize_t d = info.ndim - 1; d >= 0; --d) {
    const auto k = static_cast<size_t>(d);
    if (info.shape[k] > 1 && info.strides[k] != stride) return false;
    stride *= info.shape[k];
  }
  return true;
}

/// Refers to the object's memory and keeps the object alive.
Array array_from(const py::buffer& object) {
  const auto release = [](const py::buffer_info* info) {
    const py::gil_scoped_acquire lock;
    delete info;
  };
  const std::shared_ptr<const py::buffer_info> info(new py::buffer_info(object.request()), release);
  const DType dtype = dtype_of(*info);
  if (!is_contiguous(*info)) throw py::type_error("expected an array in C order");
  return Array(dtype, {info->shape.begin(), info->shape.end()}, info->ptr, info);
}

/// Writable, because what the library hands out (predictions) belongs to the caller alone.
py::buffer_info buffer_of(Array& array) {
  const char letter = format_of(array.dtype());
  if (letter == 0) {
    throw Exception({ErrorCode::kUnsupported, "bfloat16 arrays have no Python buffer format"});
  }
  const auto size = static_cast<py::ssize_t>(array.size());
  const auto bytes = static_cast<py::ssize_t>(array.size_bytes());
  const py::ssize_t itemsize = size > 0 ? bytes / size : 1;
  std::vector<py::ssize_t> shape(array.shape().begin(), array.shape().end());
  std::vector<py::ssize_t> strides(shape.size());
  py::ssize_t stride = itemsize;
  for (size_t d = shape.size(); d-- > 0;) {
    strides[d] = stride;
    stride *= shape[d];
  }
  return py::buffer_info(const_cast<void*>(array.data()), itemsize, std::string(1, letter),
                         static_cast<py::ssize_t>(shape.size()), shape, strides);
}

}  // namespace

void bind_arrays(py::module_& module) {
  py::class_<Array>(module, "Array", py::buffer_protocol())
      .def(py::init(&array_from))
      .def_buffer(&buffer_of)
      .def_property_readonly("shape", &Array::shape)
      .def_property_readonly(
          "format", [](const Array& array) { return std::string(1, format_of(array.dtype())); });
}

}  // namespace ew::python
