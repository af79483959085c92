#include "host/file_system.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/file.h"

namespace ew::host {
namespace {

Error system_error(const std::string& path, const char* what, int number) {
  const ErrorCode code = number == ENOENT                       ? ErrorCode::kNotFound
                         : number == ENOSPC || number == EDQUOT ? ErrorCode::kResourceLimit
                                                                : ErrorCode::kIo;
  return make_error(code, path, ": cannot ", what, ": ", std::strerror(number));
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

class RealFile final : public File {
 public:
  RealFile(std::string path, Descriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  Status append(std::span<const Bytes> parts) override {
    std::vector<iovec> left;
    for (const Bytes part : parts) {
      if (!part.empty()) left.push_back({const_cast<uint8_t*>(part.data()), part.size()});
    }
    for (size_t first = 0; first < left.size();) {
      const auto count = static_cast<int>(std::min<size_t>(left.size() - first, 64));
      ssize_t n = ::writev(fd_.get(), &left[first], count);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return system_error(path_, "write", errno);
      for (; n > 0; ++first) {
        iovec& part = left[first];
        const size_t taken = std::min(part.iov_len, static_cast<size_t>(n));
        part.iov_base = static_cast<uint8_t*>(part.iov_base) + taken;
        part.iov_len -= taken;
        n -= static_cast<ssize_t>(taken);
        if (part.iov_len > 0) break;
      }
    }
    return {};
  }

  Result<size_t> pread(uint64_t offset, MutableBytes out) const override {
    size_t done = 0;
    while (done < out.size()) {
      const ssize_t n = ::pread(fd_.get(), out.data() + done, out.size() - done,
                                static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return system_error(path_, "read", errno);
      if (n == 0) break;
      done += static_cast<size_t>(n);
    }
    return done;
  }

  Status sync_data() override {
    if (::fdatasync(fd_.get()) != 0) return system_error(path_, "sync", errno);
    return {};
  }

  Status truncate(uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) {
      return system_error(path_, "cut", errno);
    }
    return {};
  }

  Result<uint64_t> size() const override {
    struct stat info{};
    if (::fstat(fd_.get(), &info) != 0) return system_error(path_, "stat", errno);
    return static_cast<uint64_t>(info.st_size);
  }

 private:
  std::string path_;
  Descriptor fd_;
};

class RealLock final : public FileLock {
 public:
  explicit RealLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  Descriptor fd_;
};

class RealFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    const int flags = O_CLOEXEC | O_APPEND |
                      (mode == OpenMode::kRead        ? O_RDONLY
                       : mode == OpenMode::kReadWrite ? O_RDWR
                                                      : O_RDWR | O_CREAT | O_TRUNC);
    Descriptor fd(::open(path.c_str(), flags, 0600));
    if (fd.get() < 0) return system_error(path, "open", errno);
    return std::unique_ptr<File>(std::make_unique<RealFile>(path, std::move(fd)));
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return system_error(from, "rename", errno);
    return {};
  }

  Status remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error(path, "remove", errno);
    return {};
  }

  Status remove_tree(const std::string& path) override {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) return system_error(path, "remove", error.value());
    return {};
  }

  Status sync_directory(const std::string& path) override {
    const Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) return system_error(path, "open", errno);
    if (::fsync(fd.get()) != 0) return system_error(path, "sync", errno);
    return {};
  }

  Status make_directory(const std::string& path) override {
    if (is_directory(path)) return {};
    const std::string parent = folder_of(path);
    if (parent != path) EW_TRY_VOID(make_directory(parent));
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
      return system_error(path, "create the folder", errno);
    }
    return sync_directory(parent);
  }

  Result<std::vector<std::string>> list(const std::string& path) override {
    return list_directory(path);
  }

  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    Descriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (fd.get() < 0) return system_error(path, "open", errno);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return system_error(path, "lock", errno);
      return make_error(ErrorCode::kIo, path, ": in use by another process; stop it first");
    }
    return std::unique_ptr<FileLock>(std::make_unique<RealLock>(std::move(fd)));
  }
};

}  // namespace

FileSystem& real_file_system() {
  static RealFileSystem files;
  return files;
}

Status replace_file(FileSystem& files, const std::string& path, Bytes content) {
  const std::string aside = path + ".new";
  {
    EW_TRY(const std::unique_ptr<File> file, files.open(aside, OpenMode::kCreate));
    EW_TRY_VOID(file->append(std::span(&content, 1)));
    EW_TRY_VOID(file->sync_data());
  }
  EW_TRY_VOID(files.rename(aside, path));
  return files.sync_directory(folder_of(path));
}

Result<std::vector<uint8_t>> read_whole_file(FileSystem& files, const std::string& path,
                                             uint64_t max_bytes) {
  EW_TRY(const std::unique_ptr<File> file, files.open(path, OpenMode::kRead));
  EW_TRY(const uint64_t size, file->size());
  if (size > max_bytes) {
    return make_error(ErrorCode::kResourceLimit, path, ": ", size, " bytes, above the limit of ",
                      max_bytes);
  }
  std::vector<uint8_t> bytes(size);
  EW_TRY(const size_t read, file->pread(0, bytes));
  bytes.resize(read);
  return bytes;
}

}  // namespace ew::host
