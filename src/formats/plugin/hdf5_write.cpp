// Writes a tree with libhdf5.

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <set>
#include <string>
#include <vector>

#include "formats/plugin/hdf5_support.h"

namespace ew::formats::hdf5 {
namespace {

// Attributes live in the object header, whose messages hold 64 KB (h5py and Keras use this bound).
constexpr size_t kMaxAttributeBytes = 64512;
// A chunk's size is a 32-bit number in the file.
constexpr size_t kMaxChunkBytes = size_t{1} << 31;
constexpr size_t kStringReference = 16;  // what a variable-length string takes beside its text

/// Bytes of the B-tree node that indexes the chunks of a dataset, however few (HDF5 file format
/// specification, III.A.1: 2K keys of 8 + 8 (rank + 1) bytes and one more, 2K addresses; K = 32).
size_t index_bytes(int rank) {
  constexpr size_t kChildren = 64;
  return 24 + (kChildren + 1) * (8 + 8 * (static_cast<size_t>(rank) + 1)) + kChildren * 8;
}

Error refused(const std::string& where, const char* what) {
  return make_error(ErrorCode::kInternal, where, ": cannot ", what, ": ", take_reason());
}

Status check_value(const std::string& where, const H5Value& v) {
  const auto count = v.shape.is_static() ? static_cast<size_t>(v.shape.num_elements()) : SIZE_MAX;
  const bool fits = v.is_string
                        ? v.strings.size() == count
                        : count != SIZE_MAX && v.bytes.size() == count * dtype_size(v.dtype);
  if (!fits) return invalid_argument(where, ": content does not fit shape ", v.shape);
  for (const std::string& s : v.strings) {
    if (s.find('\0') != std::string::npos) {
      return invalid_argument(where, ": strings with a zero byte cannot be stored");
    }
  }
  return {};
}

Handle space_of(const Shape& shape) {
  if (shape.rank() == 0) return Handle(H5Screate(H5S_SCALAR));
  const std::vector<hsize_t> dims(shape.begin(), shape.end());
  return Handle(H5Screate_simple(shape.rank(), dims.data(), nullptr));
}

Handle type_of(const H5Value& v) {
  if (!v.is_string) return stored_type_of(v.dtype);
  Handle type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

/// Calls write(pointer) with what HDF5 expects as the buffer of `v`.
template <typename F>
herr_t with_buffer(const H5Value& v, F&& write) {
  if (!v.is_string) return v.bytes.empty() ? 0 : write(static_cast<const void*>(v.bytes.data()));
  std::vector<const char*> pointers;
  for (const std::string& s : v.strings) pointers.push_back(s.c_str());
  return pointers.empty() ? 0 : write(static_cast<const void*>(pointers.data()));
}

/// What HDF5's shuffle filter does: all first bytes of the elements, then all second bytes, …
std::vector<uint8_t> shuffled(const std::vector<uint8_t>& bytes, size_t size) {
  std::vector<uint8_t> out(bytes.size());
  const size_t count = bytes.size() / size;
  for (size_t b = 0; b < size; ++b) {
    for (size_t i = 0; i < count; ++i) out[b * count + i] = bytes[i * size + b];
  }
  return out;
}

class Writer {
 public:
  explicit Writer(const Hdf5PluginWrite& job) : job_(job) {}

  Status members(hid_t id, const std::string& path, const H5Group& group) {
    EW_TRY_VOID(attributes(id, path, group.attributes));
    std::set<std::string_view> names;
    for (const H5Group& child : group.groups) {
      const std::string below = path + "/" + child.name;
      EW_TRY_VOID(check_name(below, child.name, names));
      const Handle properties(H5Pcreate(H5P_GROUP_CREATE));
      H5Pset_obj_track_times(properties, false);
      const Handle made(H5Gcreate2(id, child.name.c_str(), H5P_DEFAULT, properties, H5P_DEFAULT));
      if (!made.ok()) return refused(below, "create the group");
      EW_TRY_VOID(members(made, below, child));
    }
    for (const H5Dataset& child : group.datasets) {
      const std::string below = path + "/" + child.name;
      EW_TRY_VOID(check_name(below, child.name, names));
      EW_TRY_VOID(dataset(id, below, child));
    }
    return {};
  }

 private:
  static Status check_name(const std::string& where, const std::string& name,
                           std::set<std::string_view>& names) {
    if (name.empty() || name == "." || name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos) {
      return invalid_argument(where, ": a name must not be empty or '.' or contain '/'");
    }
    if (!names.insert(name).second) return invalid_argument(where, ": this name is there twice");
    return {};
  }

  static Status attributes(hid_t id, const std::string& path, const std::vector<H5Attribute>& all) {
    std::set<std::string_view> names;
    for (const auto& [name, value] : all) {
      const std::string where = str(path, "@", name);
      if (name.empty() || !names.insert(name).second) {
        return invalid_argument(where, ": expected a new attribute name");
      }
      EW_TRY_VOID(check_value(where, value));
      const size_t bytes = value.bytes.size() + value.strings.size() * kStringReference;
      if (bytes > kMaxAttributeBytes) {
        return invalid_argument(where, ": ", bytes, " bytes, above the ", kMaxAttributeBytes,
                                " that an attribute can hold");
      }
      const Handle type(type_of(value));
      const Handle space(space_of(value.shape));
      const Handle made(H5Acreate2(id, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT));
      if (!made.ok() ||
          with_buffer(value, [&](const void* data) { return H5Awrite(made, type, data); }) < 0) {
        return refused(where, "write the attribute");
      }
    }
    return {};
  }

  /// The dataset's bytes deflated, or nothing where that does not pay.
  Result<std::vector<uint8_t>> packed(const H5Value& value) const {
    std::vector<uint8_t> none;
    const size_t size = value.bytes.size();
    if (job_.gzip_level <= 0 || value.is_string || value.shape.rank() == 0 || size == 0 ||
        static_cast<int64_t>(size) < job_.min_compress_bytes || size > kMaxChunkBytes) {
      return none;
    }
    const size_t item = dtype_size(value.dtype);
    const std::vector<uint8_t> source = item > 1 ? shuffled(value.bytes, item) : value.bytes;
    std::vector<uint8_t> out(compressBound(size));
    uLongf length = out.size();
    if (compress2(out.data(), &length, source.data(), size, std::min(job_.gzip_level, 9)) != Z_OK) {
      return make_error(ErrorCode::kResourceLimit, "no memory to compress");
    }
    if (length + index_bytes(value.shape.rank()) >= size) return none;
    out.resize(length);
    return out;
  }

  Status dataset(hid_t parent, const std::string& where, const H5Dataset& d) {
    EW_TRY_VOID(check_value(where, d.value));
    EW_TRY(const std::vector<uint8_t> chunk, packed(d.value));
    const Handle properties(H5Pcreate(H5P_DATASET_CREATE));
    H5Pset_obj_track_times(properties, false);
    const std::vector<hsize_t> dims(d.value.shape.begin(), d.value.shape.end());
    if (!chunk.empty()) {
      H5Pset_chunk(properties, d.value.shape.rank(), dims.data());
      if (dtype_size(d.value.dtype) > 1) H5Pset_shuffle(properties);
      H5Pset_deflate(properties, static_cast<unsigned>(std::min(job_.gzip_level, 9)));
    }
    const Handle type(type_of(d.value));
    const Handle space(space_of(d.value.shape));
    const Handle made(
        H5Dcreate2(parent, d.name.c_str(), type, space, H5P_DEFAULT, properties, H5P_DEFAULT));
    if (!made.ok()) return refused(where, "create the dataset");
    herr_t written = 0;
    if (chunk.empty()) {
      written = with_buffer(d.value, [&](const void* data) {
        return H5Dwrite(made, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
      });
    } else {
      const std::vector<hsize_t> origin(dims.size(), 0);
      written = H5Dwrite_chunk(made, H5P_DEFAULT, 0, origin.data(), chunk.size(), chunk.data());
    }
    if (written < 0) return refused(where, "write the data");
    return attributes(made, where, d.attributes);
  }

  const Hdf5PluginWrite& job_;
};

/// The file's bytes. It exists in memory only: on a failing disk libhdf5 leaks and is left in a
/// state that nothing can be relied on.
Result<std::vector<uint8_t>> make_image(const Hdf5PluginWrite& job) {
  const Handle access(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  H5Pset_fapl_core(access, size_t{1} << 20, false);
  const Handle creation(H5Pcreate(H5P_FILE_CREATE));
  H5Pset_obj_track_times(creation, false);
  const Handle file(H5Fcreate("image", H5F_ACC_TRUNC, creation, access));
  if (!file.ok()) return refused("/", "create the file");
  const Handle root(H5Gopen2(file, "/", H5P_DEFAULT));
  if (!root.ok()) return refused("/", "open the root group");
  EW_TRY_VOID(Writer(job).members(root, "", *job.root));
  if (H5Fflush(file, H5F_SCOPE_GLOBAL) < 0) return refused("/", "complete the file");
  const ssize_t size = H5Fget_file_image(file, nullptr, 0);
  if (size < 0) return refused("/", "get the file's bytes");
  std::vector<uint8_t> bytes(static_cast<size_t>(size));
  if (H5Fget_file_image(file, bytes.data(), bytes.size()) != size) {
    return refused("/", "get the file's bytes");
  }
  return bytes;
}

Status write_image(const Hdf5PluginWrite& job) {
  EW_TRY(const std::vector<uint8_t> bytes, make_image(job));
  if (job.sink(job.context, bytes.data(), bytes.size())) return {};
  return make_error(ErrorCode::kIo, "the receiver is gone");
}

}  // namespace

int write_tree(const Hdf5PluginWrite& job) {
  Status status;
  try {
    status = write_image(job);
  } catch (const std::bad_alloc&) {
    status = make_error(ErrorCode::kResourceLimit, "out of memory while writing");
  }
  if (status.ok()) return 0;
  std::snprintf(job.message, job.message_size, "%s", status.error().message.c_str());
  return static_cast<int>(status.error().code) + 1;
}

}  // namespace ew::formats::hdf5
