#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace ew {
namespace {

Error io_error(const std::string& path, const char* what) {
  // Only what is read can be "not found"; a folder missing for an output is the environment's
  // fault.
  const bool is_read = std::strcmp(what, "open") == 0 || std::strcmp(what, "list") == 0;
  const ErrorCode code = errno == ENOENT && is_read ? ErrorCode::kNotFound : ErrorCode::kIo;
  return make_error(code, path, ": cannot ", what, ": ", std::strerror(errno));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Status write_all(int fd, const std::string& path, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error(path, "write");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

}  // namespace

Result<std::vector<uint8_t>> read_file(const std::string& path, int64_t max_bytes) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return io_error(path, "open");
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return io_error(path, "stat");
  if (S_ISDIR(info.st_mode)) return invalid_argument(path, ": expected a file, found a folder");
  if (info.st_size > max_bytes) {
    return make_error(ErrorCode::kResourceLimit, path, ": ", info.st_size,
                      " bytes, above the limit of ", max_bytes);
  }
  std::vector<uint8_t> bytes(static_cast<size_t>(info.st_size));
  size_t done = 0;
  while (true) {  // the size is a hint only: pipes and /proc report 0
    if (done == bytes.size()) {
      if (info.st_size > 0 && done == static_cast<size_t>(info.st_size)) break;
      if (static_cast<int64_t>(done) >= max_bytes) {
        return make_error(ErrorCode::kResourceLimit, path, ": above the limit of ", max_bytes,
                          " bytes");
      }
      bytes.resize(done + 65536);
    }
    const ssize_t n = ::read(file.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error(path, "read");
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

std::string temporary_name(const std::string& path) { return str(path, ".tmp-", ::getpid()); }

Status commit_file(const std::string& temporary, const std::string& path) {
  const Descriptor file(::open(temporary.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 || ::fsync(file.get()) != 0 ||
      ::rename(temporary.c_str(), path.c_str()) != 0) {
    Error error = io_error(path, "write");
    ::unlink(temporary.c_str());
    return error;
  }
  return {};
}

Status write_file_atomic(const std::string& path, std::span<const uint8_t> bytes) {
  const std::string temporary = temporary_name(path);
  {
    const Descriptor file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.get() < 0) return io_error(path, "create");
    if (Status written = write_all(file.get(), path, bytes); !written.ok()) {
      ::unlink(temporary.c_str());
      return written;
    }
  }
  return commit_file(temporary, path);
}

Status write_file_atomic(const std::string& path, const std::string& text) {
  return write_file_atomic(path,
                           std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

bool file_exists(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0;
}

bool is_directory(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::string file_suffix(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  const size_t dot = path.find_last_of('.');
  if (dot == std::string::npos || (slash != std::string::npos && dot < slash)) return "";
  std::string suffix = path.substr(dot);
  for (char& c : suffix) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return suffix;
}

Result<std::vector<std::string>> list_directory(const std::string& path) {
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return io_error(path, "list");
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace ew
