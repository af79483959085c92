#include "formats/h5_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"
#include "formats/h5_wire.h"
#include "formats/hdf5_library.h"
#include "formats/limited_child.h"

namespace ew::formats {
namespace {

constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
constexpr int64_t kLeastContent = int64_t{64} << 20;
constexpr int64_t kMostExpansion = 300;
constexpr int64_t kChildOverhead = int64_t{256} << 20;  // the library and its caches

bool has_signature(std::string_view text) {
  // At 0, or behind a user block of 512, 1024, 2048, … bytes.
  for (size_t at = 0; at < text.size(); at = at == 0 ? 512 : at * 2) {
    if (text.substr(at).starts_with(kSignature)) return true;
  }
  return false;
}

Error not_hdf5(std::string_view text) {
  const char* found = text.empty()                        ? "an empty file"
                      : text.starts_with("PK\x03\x04")    ? "a ZIP archive (a .keras file?)"
                      : text.starts_with("version https") ? "a Git LFS pointer, not the file itself"
                      : text.substr(0, 64).find('\0') == std::string_view::npos ? "text"
                                                                                : "other data";
  return invalid_data("expected an HDF5 file, found ", found, " (", text.size(), " bytes)");
}

bool write_to_pipe(void* context, const uint8_t* bytes, size_t size) {
  const int descriptor = *static_cast<const int*>(context);
  while (size > 0) {
    const ssize_t n = ::write(descriptor, bytes, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

Result<LimitedChild> start_reader(std::span<const uint8_t> bytes, const H5WireLimits& content,
                                  const H5ReadLimits& limits) {
  // Held until the fork is done: the child must not inherit a library that another thread is in.
  EW_TRY(const Hdf5Library library, Hdf5Library::acquire());
  const ChildLimits child_limits{.memory_bytes = content.max_bytes + kChildOverhead,
                                 .cpu_seconds = limits.cpu_seconds,
                                 .wall_seconds = limits.wall_seconds};
  return LimitedChild::start(child_limits, [&](int descriptor) {
    library->start();
    library->read(bytes.data(), bytes.size(), {content.max_bytes, content.max_objects},
                  write_to_pipe, &descriptor);
  });
}

Result<H5Group> read_limited(std::span<const uint8_t> bytes, const H5ReadLimits& limits) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!has_signature(text)) return not_hdf5(text);
  const auto size = static_cast<int64_t>(bytes.size());
  if (size > limits.max_file_bytes) {
    return make_error(ErrorCode::kResourceLimit, size, " bytes, above the limit of ",
                      limits.max_file_bytes);
  }
  const H5WireLimits content{
      .max_bytes = std::min(limits.max_content_bytes, kLeastContent + kMostExpansion * size),
      .max_objects = limits.max_objects};
  EW_TRY(LimitedChild child, start_reader(bytes, content, limits));
  bool ended_early = false;
  Result<H5Group> tree = read_h5_wire(
      [&](std::span<uint8_t> target) {
        Status status = child.receive(target);
        ended_early = !status.ok() && status.error().code == ErrorCode::kIo;
        return status;
      },
      content);
  if (tree.ok()) return tree;
  const std::string stopped = child.finish();
  if (ended_early) {
    return invalid_data("damaged HDF5 file: reader ",
                        stopped.empty() ? "ended before the end of the content" : stopped);
  }
  if (tree.error().code == ErrorCode::kInvalidData) return at("damaged HDF5 file", tree.error());
  return tree;
}

}  // namespace

Result<H5Group> read_h5(std::span<const uint8_t> bytes, const std::string& name,
                        const H5ReadLimits& limits) {
  Result<H5Group> tree = read_limited(bytes, limits);
  if (!tree.ok()) return at(name, tree.error());
  return tree;
}

Result<H5Group> read_h5(const std::string& path, const H5ReadLimits& limits) {
  EW_TRY(const std::vector<uint8_t> bytes, read_file(path, limits.max_file_bytes));
  return read_h5(bytes, path, limits);
}

}  // namespace ew::formats
