#include "train/data/byte_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/file.h"

namespace ew::train {

Result<ByteFile> ByteFile::open(const std::string& path) {
  ByteFile file;
  file.path_ = path;
  file.fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info{};
  if (file.fd_ < 0 || ::fstat(file.fd_, &info) != 0) {
    const int reason = errno;
    return make_error(reason == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, path,
                      ": cannot open: ", std::strerror(reason));
  }
  if (!S_ISREG(info.st_mode)) return invalid_argument(path, ": expected a regular file");
  file.size_ = info.st_size;
  return file;
}

ByteFile ByteFile::from_bytes(std::string path, std::vector<uint8_t> bytes) {
  ByteFile file;
  file.path_ = std::move(path);
  file.size_ = static_cast<int64_t>(bytes.size());
  file.bytes_ = std::move(bytes);
  return file;
}

ByteFile::ByteFile(ByteFile&& other) noexcept { *this = std::move(other); }

ByteFile& ByteFile::operator=(ByteFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(size_, other.size_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

ByteFile::~ByteFile() {
  if (fd_ >= 0) ::close(fd_);
}

Status ByteFile::read(int64_t offset, std::span<uint8_t> out) const {
  const auto ends = [&]() {
    return invalid_data(path_, ": cut short: expected ", out.size(), " bytes at offset ", offset);
  };
  if (offset < 0 || offset > size_ || static_cast<int64_t>(out.size()) > size_ - offset) {
    return ends();
  }
  if (fd_ < 0) {
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return {};
  }
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = ::pread(fd_, out.data() + done, out.size() - done,
                              static_cast<off_t>(offset + static_cast<int64_t>(done)));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      return make_error(ErrorCode::kIo, path_, ": cannot read: ", std::strerror(errno));
    }
    if (n == 0) return ends();
    done += static_cast<size_t>(n);
  }
  return {};
}

bool is_gzip(std::span<const uint8_t> bytes) {
  return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

namespace {

class Inflater {
 public:
  Inflater() { ready_ = inflateInit2(&stream_, 15 + 16) == Z_OK; }
  ~Inflater() {
    if (ready_) inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  bool ready() const { return ready_; }
  z_stream& stream() { return stream_; }

 private:
  z_stream stream_{};
  bool ready_ = false;
};

constexpr size_t kChunk = size_t{1} << 30;  // zlib counts in 32 bits

}  // namespace

Result<std::vector<uint8_t>> gunzip(const std::string& path, std::span<const uint8_t> bytes,
                                    int64_t max_bytes) {
  Inflater inflater;
  if (!inflater.ready()) return make_error(ErrorCode::kResourceLimit, path, ": out of memory");
  z_stream& stream = inflater.stream();
  const auto limit = static_cast<size_t>(std::max<int64_t>(max_bytes, 0));
  std::vector<uint8_t> out(std::min(limit + 1, std::max<size_t>(65536, bytes.size() * 3)));
  size_t taken = 0;
  size_t made = 0;
  while (true) {
    if (made == out.size()) {
      if (made > limit) {
        return make_error(ErrorCode::kResourceLimit, path, ": inflates to more than ", max_bytes,
                          " bytes");
      }
      out.resize(std::min(limit + 1, out.size() * 2));
    }
    // zlib's interface is not const, but it only reads.
    stream.next_in = const_cast<Bytef*>(bytes.data() + taken);
    stream.avail_in = static_cast<uInt>(std::min(kChunk, bytes.size() - taken));
    stream.next_out = out.data() + made;
    stream.avail_out = static_cast<uInt>(std::min(kChunk, out.size() - made));
    const uInt had_in = stream.avail_in;
    const uInt had_out = stream.avail_out;
    const int status = inflate(&stream, Z_NO_FLUSH);
    taken += had_in - stream.avail_in;
    made += had_out - stream.avail_out;
    if (status == Z_STREAM_END) {
      if (made > limit) continue;
      if (!is_gzip(bytes.subspan(taken))) break;  // anything but another member is ignored, as gzip
      if (inflateReset(&stream) != Z_OK) return invalid_data(path, ": damaged gzip data");
    } else if (status != Z_OK && !(status == Z_BUF_ERROR && made == out.size())) {
      if (taken == bytes.size()) {
        return invalid_data(path, ": gzip data is cut short after ", made, " inflated bytes");
      }
      return invalid_data(path, ": damaged gzip data near byte ", taken, ": ",
                          stream.msg != nullptr ? stream.msg : "no reason given");
    }
  }
  out.resize(made);
  return out;
}

Result<std::vector<uint8_t>> read_maybe_gzip(const std::string& path, int64_t max_bytes) {
  EW_TRY(std::vector<uint8_t> bytes, read_file(path, max_bytes));
  if (!is_gzip(bytes)) return bytes;
  return gunzip(path, bytes, max_bytes);
}

}  // namespace ew::train
