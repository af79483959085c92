#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/crc32c.h"

namespace ew {
namespace {

constexpr uint64_t kAlignment = 64;

Error system_error(const std::string& path, const char* what) {
  return make_error(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, path, ": cannot ",
                    what, ": ", std::strerror(errno));
}

// Reads until `to` is full.
bool read_at(int descriptor, uint64_t offset, std::span<uint8_t> to) {
  while (!to.empty()) {
    const ssize_t n = ::pread(descriptor, to.data(), to.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    offset += static_cast<uint64_t>(n);
    to = to.subspan(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string& path, uint64_t offset,
                                                           std::optional<uint64_t> length) {
  std::shared_ptr<MappedFile> file(new MappedFile());
  file->descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file->descriptor_ < 0) return system_error(path, "open");
  struct stat info{};
  if (::fstat(file->descriptor_, &info) != 0) return system_error(path, "stat");
  if (S_ISDIR(info.st_mode)) return invalid_argument(path, ": expected a file, found a folder");
  const auto size = static_cast<uint64_t>(info.st_size);
  if (offset > size || length.value_or(0) > size - offset) {
    return invalid_argument(path, ": the part at offset ", offset, " lies outside the file of ",
                            size, " bytes");
  }
  const uint64_t bytes = length.value_or(size - offset);
  file->offset_ = offset;
  if (bytes == 0) return std::shared_ptr<const MappedFile>(std::move(file));
  if (offset % kAlignment != 0) {
    file->copy_.resize(bytes + kAlignment);
    const auto address = reinterpret_cast<uintptr_t>(file->copy_.data());
    uint8_t* start = file->copy_.data() + (kAlignment - address % kAlignment) % kAlignment;
    if (!read_at(file->descriptor_, offset, {start, bytes})) return system_error(path, "read");
    file->bytes_ = {start, bytes};
    return std::shared_ptr<const MappedFile>(std::move(file));
  }
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const uint64_t begin = offset / page * page;
  file->mapping_bytes_ = offset - begin + bytes;
  void* mapping = ::mmap(nullptr, file->mapping_bytes_, PROT_READ, MAP_PRIVATE, file->descriptor_,
                         static_cast<off_t>(begin));
  if (mapping == MAP_FAILED) return system_error(path, "map");
  file->mapping_ = mapping;
  file->bytes_ = {static_cast<const uint8_t*>(mapping) + (offset - begin), bytes};
  return std::shared_ptr<const MappedFile>(std::move(file));
}

std::shared_ptr<const MappedFile> MappedFile::copy_of(std::span<const uint8_t> bytes) {
  std::shared_ptr<MappedFile> file(new MappedFile());
  file->copy_.resize(bytes.size() + kAlignment);
  const auto address = reinterpret_cast<uintptr_t>(file->copy_.data());
  uint8_t* start = file->copy_.data() + (kAlignment - address % kAlignment) % kAlignment;
  std::copy(bytes.begin(), bytes.end(), start);
  file->bytes_ = {start, bytes.size()};
  return file;
}

MappedFile::~MappedFile() {
  if (mapping_ != nullptr) ::munmap(mapping_, mapping_bytes_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<uint32_t> MappedFile::checksum(uint64_t begin, uint64_t length) const {
  if (mapping_ == nullptr) return crc32c(bytes_.subspan(begin, length));
  std::array<uint8_t, 32768> piece;
  uint32_t sum = 0;
  for (uint64_t done = 0; done < length;) {
    const std::span<uint8_t> part(piece.data(), std::min<uint64_t>(piece.size(), length - done));
    if (!read_at(descriptor_, offset_ + begin + done, part)) {
      return make_error(ErrorCode::kIo, "cannot read the file to its end: ", std::strerror(errno));
    }
    sum = crc32c(part, sum);
    done += part.size();
  }
  return sum;
}

}  // namespace ew
