#pragma once
// What the HDF5 adapter's files share: owned identifiers, error texts, element types.

#include <hdf5.h>

#include <optional>
#include <string>

#include "base/dtype.h"
#include "base/result.h"
#include "formats/h5_tree.h"
#include "formats/plugin/hdf5_plugin.h"

namespace ew::formats::hdf5 {

/// Owns one reference to an HDF5 identifier of any kind.
class Handle {
 public:
  explicit Handle(hid_t id) : id_(id) {}
  Handle(Handle&& other) noexcept : id_(other.release()) {}
  Handle& operator=(Handle&&) = delete;
  ~Handle() {
    if (id_ >= 0) H5Idec_ref(id_);
  }
  bool ok() const { return id_ >= 0; }
  operator hid_t() const { return id_; }  // NOLINT: made to be passed to HDF5
  hid_t release() {
    const hid_t id = id_;
    id_ = -1;
    return id;
  }

 private:
  hid_t id_;
};

/// The root cause in HDF5's error stack, which is cleared; "unknown reason" if it is empty.
std::string take_reason();

/// How elements of a file's type are read: `memory` is the type to ask HDF5 for.
struct NumberType {
  DType dtype;
  Handle memory;
};
/// None for types that have no place in an H5Value.
std::optional<NumberType> number_type_of(hid_t file_type);

/// The little-endian type that h5py stores for `dtype` (bool as an enumeration of int8).
Handle stored_type_of(DType dtype);

bool read_image(const uint8_t* image, size_t size, const Hdf5PluginLimits& limits,
                Hdf5PluginSink sink, void* context);
int write_tree(const Hdf5PluginWrite& job);

}  // namespace ew::formats::hdf5
