// Walks an HDF5 file and sends what it holds. Runs in the reader's child process.

#include <algorithm>
#include <cstring>
#include <new>
#include <set>

#include "formats/h5_wire.h"
#include "formats/plugin/hdf5_support.h"

namespace ew::formats::hdf5 {
namespace {

/// Names of a group's links or an object's attributes, collected by HDF5's iteration.
struct Names {
  std::vector<std::string> all;
  std::string not_hard;  // the first soft or external link
  int64_t limit;
};

template <typename F>
herr_t guarded(F&& f) noexcept {
  try {
    return f();
  } catch (...) {  // out of memory: must not unwind through C
    return -1;
  }
}

herr_t add_link(hid_t, const char* name, const H5L_info_t* info, void* target) {
  auto& names = *static_cast<Names*>(target);
  return guarded([&]() -> herr_t {
    if (info->type != H5L_TYPE_HARD && names.not_hard.empty()) names.not_hard = name;
    names.all.emplace_back(name);
    return static_cast<int64_t>(names.all.size()) > names.limit ? -1 : 0;
  });
}

herr_t add_attribute(hid_t, const char* name, const H5A_info_t*, void* target) {
  auto& names = *static_cast<Names*>(target);
  return guarded([&]() -> herr_t {
    names.all.emplace_back(name);
    return static_cast<int64_t>(names.all.size()) > names.limit ? -1 : 0;
  });
}

/// A dataset or an attribute, read through the same few calls.
struct Source {
  hid_t id;
  bool is_attribute;
  hid_t type() const { return is_attribute ? H5Aget_type(id) : H5Dget_type(id); }
  hid_t space() const { return is_attribute ? H5Aget_space(id) : H5Dget_space(id); }
  herr_t read(hid_t memory, void* out) const {
    return is_attribute ? H5Aread(id, memory, out)
                        : H5Dread(id, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
  }
};

std::string trimmed(const char* text, size_t size, H5T_str_t padding) {
  if (padding == H5T_STR_NULLTERM) return std::string(text, ::strnlen(text, size));
  const char blank = padding == H5T_STR_SPACEPAD ? ' ' : '\0';
  while (size > 0 && text[size - 1] == blank) --size;
  return std::string(text, size);
}

class Walker {
 public:
  Walker(H5WireWriter& out, const Hdf5PluginLimits& limits, size_t file_size)
      : out_(out), left_(limits.max_bytes), objects_(limits.max_objects), file_size_(file_size) {}

  Status walk(hid_t file) {
    const Handle root(H5Gopen2(file, "/", H5P_DEFAULT));
    if (!root.ok()) return damaged("cannot open the root group");
    EW_TRY_VOID(out_.begin_group(""));
    EW_TRY_VOID(group(root, 0));
    return out_.end();
  }

 private:
  std::string where() const { return path_.empty() ? "/" : path_; }
  Error damaged(const char* what) const {
    return invalid_data(where(), ": ", what, ": ", take_reason());
  }
  Error too_much(const char* what) const {
    return make_error(ErrorCode::kResourceLimit, where(), ": ", what, " above the limit");
  }

  Status spend(uint64_t count, size_t size) {
    if (size > 0 && count > static_cast<uint64_t>(left_) / size) return too_much("content");
    left_ -= static_cast<int64_t>(count * size);
    return {};
  }

  Result<Names> list(hid_t id, bool attributes) {
    Names names{{}, {}, objects_};
    hsize_t position = 0;
    const herr_t done =
        attributes ? H5Aiterate2(id, H5_INDEX_NAME, H5_ITER_INC, &position, add_attribute, &names)
                   : H5Literate(id, H5_INDEX_NAME, H5_ITER_INC, &position, add_link, &names);
    objects_ -= static_cast<int64_t>(names.all.size());
    if (objects_ < 0) return too_much("number of objects");
    if (done < 0) return damaged(attributes ? "cannot list attributes" : "cannot list members");
    return names;
  }

  Status group(hid_t id, int depth) {
    H5O_info_t info;
    if (H5Oget_info2(id, &info, H5O_INFO_BASIC) < 0) return damaged("cannot look up the group");
    if (!groups_.insert(info.addr).second) {
      return invalid_data(where(), ": this group is linked more than once");
    }
    if (depth > kMaxH5Depth) return too_much("groups inside each other");
    EW_TRY_VOID(attributes(id));
    EW_TRY(const Names names, list(id, false));
    if (!names.not_hard.empty()) {
      return unsupported(path_, "/", names.not_hard, ": soft and external links are not followed");
    }
    for (const std::string& name : names.all) {
      const size_t parent = path_.size();
      path_ += "/" + name.substr(0, 200);
      EW_TRY_VOID(member(id, name, depth));
      path_.resize(parent);
    }
    return out_.close();
  }

  Status member(hid_t parent, const std::string& name, int depth) {
    if (name.empty() || name == "." || name.size() > kMaxH5Name ||
        name.find('/') != std::string::npos) {
      return invalid_data(where(), ": expected a name without '/'");
    }
    const Handle object(H5Oopen(parent, name.c_str(), H5P_DEFAULT));
    if (!object.ok()) return damaged("cannot open");
    switch (H5Iget_type(object)) {
      case H5I_GROUP:
        EW_TRY_VOID(out_.begin_group(name));
        return group(object, depth + 1);
      case H5I_DATASET:
        return dataset(object, name);
      default:
        return {};  // a named type holds no data
    }
  }

  Status dataset(hid_t id, const std::string& name) {
    const Handle properties(H5Dget_create_plist(id));
    if (!properties.ok()) return damaged("cannot look up the dataset");
    const H5D_layout_t layout = H5Pget_layout(properties);
    if (layout == H5D_VIRTUAL || H5Pget_external_count(properties) != 0) {
      return unsupported(where(), ": data in other files is not read");
    }
    if (layout == H5D_CONTIGUOUS && H5Dget_storage_size(id) > file_size_) {
      return invalid_data(where(), ": ", H5Dget_storage_size(id), " bytes of data in a file of ",
                          file_size_);
    }
    EW_TRY(const std::optional<H5Value> content, value({id, false}));
    if (!content) {
      return unsupported(where(), ": expected numbers or strings, found another type of element");
    }
    EW_TRY_VOID(out_.begin_dataset(name, *content));
    EW_TRY_VOID(attributes(id));
    return out_.close();
  }

  Status attributes(hid_t id) {
    EW_TRY(const Names names, list(id, true));
    for (const std::string& name : names.all) {
      const size_t parent = path_.size();
      path_ += "@" + name.substr(0, 200);
      const Handle attribute(H5Aopen(id, name.c_str(), H5P_DEFAULT));
      if (!attribute.ok() || name.size() > kMaxH5Name) return damaged("cannot open the attribute");
      EW_TRY(const std::optional<H5Value> content, value({attribute, true}));
      if (content) EW_TRY_VOID(out_.attribute(name, *content));
      path_.resize(parent);
    }
    return {};
  }

  Result<Shape> shape_of(const Source& source) {
    const Handle space(source.space());
    const int rank = space.ok() ? H5Sget_simple_extent_ndims(space) : -1;
    if (rank < 0) return damaged("cannot read the shape");
    if (H5Sget_simple_extent_type(space) == H5S_NULL) return Shape({0});
    std::vector<hsize_t> dims(static_cast<size_t>(rank));
    if (rank > 0 && H5Sget_simple_extent_dims(space, dims.data(), nullptr) < 0) {
      return damaged("cannot read the shape");
    }
    std::vector<int64_t> out;
    for (const hsize_t d : dims) {
      out.push_back(static_cast<int64_t>(std::min<hsize_t>(d, INT64_MAX)));
    }
    Shape shape(std::move(out));
    if (Status fits = check_shape(shape); !fits.ok()) return at(where(), fits.error());
    return shape;
  }

  /// None for types that an H5Value cannot hold.
  Result<std::optional<H5Value>> value(const Source& source) {
    const Handle type(source.type());
    if (!type.ok()) return damaged("cannot read the type");
    EW_TRY(Shape shape, shape_of(source));
    H5Value out;
    out.shape = std::move(shape);
    if (H5Tget_class(type) == H5T_STRING) {
      EW_TRY_VOID(strings(source, type, out));
      return std::optional(std::move(out));
    }
    const std::optional<NumberType> number = number_type_of(type);
    if (!number) return std::optional<H5Value>();
    out.dtype = number->dtype;
    const auto count = static_cast<uint64_t>(out.shape.num_elements());
    EW_TRY_VOID(spend(count, dtype_size(out.dtype)));
    out.bytes.resize(count * dtype_size(out.dtype));
    if (count > 0 && source.read(number->memory, out.bytes.data()) < 0) {
      return damaged("cannot read the data");
    }
    return std::optional(std::move(out));
  }

  Status strings(const Source& source, hid_t type, H5Value& out) {
    out.is_string = true;
    const auto count = static_cast<uint64_t>(out.shape.num_elements());
    objects_ -= static_cast<int64_t>(count);
    if (objects_ < 0) return too_much("number of strings");
    if (count == 0) return {};
    if (H5Tis_variable_str(type) > 0) return variable_strings(source, type, count, out);

    const size_t size = H5Tget_size(type);
    EW_TRY_VOID(spend(count, size));
    const Handle memory(H5Tcopy(type));
    std::vector<char> buffer(count * size);
    if (source.read(memory, buffer.data()) < 0) return damaged("cannot read the strings");
    for (uint64_t i = 0; i < count; ++i) {
      out.strings.push_back(trimmed(buffer.data() + i * size, size, H5Tget_strpad(type)));
    }
    return {};
  }

  Status variable_strings(const Source& source, hid_t type, uint64_t count, H5Value& out) {
    const Handle memory(H5Tcopy(H5T_C_S1));
    H5Tset_size(memory, H5T_VARIABLE);
    H5Tset_cset(memory, H5Tget_cset(type));
    std::vector<char*> pointers(count, nullptr);
    if (source.read(memory, static_cast<void*>(pointers.data())) < 0)
      return damaged("cannot read the strings");
    Status status;
    for (const char* text : pointers) {
      const size_t size = text ? std::strlen(text) : 0;
      status = spend(size, 1);
      if (!status.ok()) break;
      out.strings.emplace_back(text ? text : "", size);
    }
    const Handle space(source.space());
    H5Dvlen_reclaim(memory, space, H5P_DEFAULT, static_cast<void*>(pointers.data()));
    return status;
  }

  H5WireWriter& out_;
  int64_t left_;
  int64_t objects_;
  size_t file_size_;
  std::string path_;
  std::set<haddr_t> groups_;  // seen so far, so that links cannot form circles
};

// HDF5 takes a file in memory as an "image", which it would copy three times. These callbacks hand
// out the caller's bytes instead; a file that is open for reading is never written or enlarged.
struct Image {
  const uint8_t* bytes;
};
void* image_malloc(size_t, H5FD_file_image_op_t, void* context) {
  return const_cast<uint8_t*>(static_cast<Image*>(context)->bytes);
}
void* image_memcpy(void* to, const void*, size_t, H5FD_file_image_op_t, void*) { return to; }
void* image_realloc(void*, size_t, H5FD_file_image_op_t, void*) { return nullptr; }
herr_t image_free(void*, H5FD_file_image_op_t, void*) { return 0; }
void* context_copy(void* context) { return context; }
herr_t context_free(void*) { return 0; }

Status read_file_image(Image& image, size_t size, const Hdf5PluginLimits& limits,
                       H5WireWriter& out) {
  const Handle access(H5Pcreate(H5P_FILE_ACCESS));
  H5FD_file_image_callbacks_t callbacks{image_malloc, image_memcpy, image_realloc, image_free,
                                        context_copy, context_free, &image};
  if (H5Pset_fapl_core(access, 65536, false) < 0 ||
      H5Pset_file_image_callbacks(access, &callbacks) < 0 ||
      H5Pset_file_image(access, const_cast<uint8_t*>(image.bytes), size) < 0) {
    return make_error(ErrorCode::kInternal, "HDF5 takes no image: ", take_reason());
  }
  const Handle file(H5Fopen("image", H5F_ACC_RDONLY, access));
  if (!file.ok()) return invalid_data("cannot open: ", take_reason());
  return Walker(out, limits, size).walk(file);
}

}  // namespace

bool read_image(const uint8_t* image, size_t size, const Hdf5PluginLimits& limits,
                Hdf5PluginSink sink, void* context) {
  bool stopped = false;
  H5WireWriter out([&](std::span<const uint8_t> bytes) -> Status {
    stopped = stopped || !sink(context, bytes.data(), bytes.size());
    if (stopped) return make_error(ErrorCode::kIo, "the receiver is gone");
    return {};
  });
  Image source{image};
  Status status;
  try {
    status = read_file_image(source, size, limits, out);
  } catch (const std::bad_alloc&) {
    status = make_error(ErrorCode::kResourceLimit, "out of memory while reading");
  }
  if (!status.ok() && !stopped) status = out.error(status.error());
  return !stopped;
}

}  // namespace ew::formats::hdf5
