#pragma once
// Files for the tests of this folder, made on the spot in a temporary folder.

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>
#include <zlib.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/npy.h"
#include "ir/tensor.h"

namespace ew::train::test {

using Bytes = std::vector<uint8_t>;

inline Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

/// A folder that is removed with everything in it.
class TempFolder {
 public:
  TempFolder() {
    char name[] = "/tmp/edgewise-data-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TempFolder() { remove(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string path(const std::string& name = "") const {
    return name.empty() ? path_ : path_ + "/" + name;
  }
  /// Writes a file, making the folders before it; returns its path.
  std::string write(const std::string& name, const Bytes& bytes) const {
    for (size_t i = name.find('/'); i != std::string::npos; i = name.find('/', i + 1)) {
      ::mkdir(path(name.substr(0, i)).c_str(), 0755);
    }
    REQUIRE(write_file_atomic(path(name), bytes).ok());
    return path(name);
  }
  std::string write(const std::string& name, std::string_view text) const {
    return write(name, bytes_of(text));
  }

 private:
  static void remove(const std::string& path) {
    if (is_directory(path)) {
      const auto names = list_directory(path);
      if (names.ok()) {
        for (const std::string& name : *names) remove(str(path, "/", name));
      }
      ::rmdir(path.c_str());
    } else {
      ::unlink(path.c_str());
    }
  }
  std::string path_;
};

inline Bytes npy(const ir::Tensor& tensor) {
  const auto* data = static_cast<const uint8_t*>(tensor.data());
  return write_npy(tensor.dtype(), tensor.shape(), {data, tensor.size_bytes()}).value();
}

template <typename T>
ir::Tensor iota(Shape shape, T first = T(0)) {
  ir::Tensor tensor(kDTypeOf<T>, std::move(shape));
  T value = first;
  for (T& element : tensor.mutable_values<T>()) {
    element = value;
    value = static_cast<T>(value + T(1));
  }
  return tensor;
}

inline Bytes gzip(const Bytes& bytes) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  Bytes out(deflateBound(&stream, static_cast<uLong>(bytes.size())) + 64);
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

struct Member {
  std::string name;
  Bytes bytes;
  bool stored = false;
};

inline void write_zip(const std::string& path, const std::vector<Member>& members) {
  int error = 0;
  zip_t* zip = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &error);
  REQUIRE(zip != nullptr);
  for (const Member& member : members) {
    zip_source_t* source = zip_source_buffer(zip, member.bytes.data(), member.bytes.size(), 0);
    const zip_int64_t index = zip_file_add(zip, member.name.c_str(), source, 0);
    REQUIRE(index >= 0);
    zip_set_file_compression(zip, static_cast<zip_uint64_t>(index),
                             member.stored ? ZIP_CM_STORE : ZIP_CM_DEFLATE, 0);
  }
  REQUIRE(zip_close(zip) == 0);
}

/// IDX with the given type code.
inline Bytes idx(uint8_t code, const std::vector<uint32_t>& dims, const Bytes& data) {
  Bytes out{0, 0, code, static_cast<uint8_t>(dims.size())};
  for (const uint32_t d : dims) {
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(d >> shift));
  }
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

/// The message of a failed result; "" if it is fine.
template <typename R>
std::string message(const R& result) {
  return result.ok() ? "" : result.error().message;
}

inline bool has(const std::string& text, std::string_view part) {
  const bool found = text.find(part) != std::string::npos;
  if (!found) MESSAGE("'" << text << "' does not hold '" << std::string(part) << "'");
  return found;
}

}  // namespace ew::train::test
