#include "formats/h5_writer.h"

#include "base/file.h"
#include "formats/hdf5_library.h"

namespace ew::formats {
namespace {

bool append(void* context, const uint8_t* bytes, size_t size) {
  auto& out = *static_cast<std::vector<uint8_t>*>(context);
  out.insert(out.end(), bytes, bytes + size);
  return true;
}

}  // namespace

Result<std::vector<uint8_t>> write_h5_bytes(const H5Group& root, const H5WriteOptions& options) {
  if (options.gzip_level < 0 || options.gzip_level > 9) {
    return invalid_argument("gzip level: expected 0 to 9, found ", options.gzip_level);
  }
  std::vector<uint8_t> out;
  char message[2048] = "";
  const Hdf5PluginWrite job{.root = &root,
                            .gzip_level = options.gzip_level,
                            .min_compress_bytes = options.min_compress_bytes,
                            .sink = append,
                            .context = &out,
                            .message = message,
                            .message_size = sizeof(message)};
  EW_TRY(const Hdf5Library library, Hdf5Library::acquire());
  library->start();
  const int code = library->write(job);
  if (code != 0) return Error{static_cast<ErrorCode>(code - 1), message};
  return out;
}

Status write_h5(const std::string& path, const H5Group& root, const H5WriteOptions& options) {
  const Result<std::vector<uint8_t>> bytes = write_h5_bytes(root, options);
  if (!bytes.ok()) return at(path, bytes.error());
  return write_file_atomic(path, *bytes);
}

}  // namespace ew::formats
