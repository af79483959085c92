#include "formats/h5_writer.h"

#include <unistd.h>

#include "base/file.h"
#include "formats/hdf5_library.h"

namespace ew::formats {
namespace {

bool append(void* context, const uint8_t* bytes, size_t size) {
  auto& out = *static_cast<std::vector<uint8_t>*>(context);
  out.insert(out.end(), bytes, bytes + size);
  return true;
}

Status run(Hdf5PluginWrite job, const H5Group& root, const H5WriteOptions& options) {
  if (options.gzip_level < 0 || options.gzip_level > 9) {
    return invalid_argument("gzip level: expected 0 to 9, found ", options.gzip_level);
  }
  char message[2048] = "";
  job.root = &root;
  job.gzip_level = options.gzip_level;
  job.min_compress_bytes = options.min_compress_bytes;
  job.message = message;
  job.message_size = sizeof(message);
  EW_TRY(const Hdf5Library library, Hdf5Library::acquire());
  library->start();
  const int code = library->write(job);
  if (code == 0) return {};
  return Error{static_cast<ErrorCode>(code - 1), message};
}

}  // namespace

Result<std::vector<uint8_t>> write_h5_bytes(const H5Group& root, const H5WriteOptions& options) {
  std::vector<uint8_t> out;
  Hdf5PluginWrite job{};
  job.sink = append;
  job.context = &out;
  EW_TRY_VOID(run(job, root, options));
  return out;
}

Status write_h5(const std::string& path, const H5Group& root, const H5WriteOptions& options) {
  const std::string temporary = temporary_name(path);
  Hdf5PluginWrite job{};
  job.path = temporary.c_str();
  if (Status written = run(job, root, options); !written.ok()) {
    ::unlink(temporary.c_str());
    return at(path, written.error());
  }
  return commit_file(temporary, path);
}

}  // namespace ew::formats
