// Loaded into a real process with LD_PRELOAD: disks that are full or do not answer, clocks that
// jump, microphones that fail. EW_FAULTS names a file of a FaultControl, which the test maps and
// writes to. tests/e2e/faults.py has the other side.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

namespace {

struct FaultControl {
  std::atomic<int64_t> clock_offset_us;  // added to the system's clock
  std::atomic<int32_t> is_disk_full;     // files take no more bytes
  std::atomic<int32_t> is_sync_held;     // fdatasync() does not return
  std::atomic<int32_t> held_syncs;       // calls that wait
  std::atomic<int32_t> sound_error;      // of the next read of a microphone, negative; 0: none
};

FaultControl* control() {
  static FaultControl* const mapped = [] {
    const char* path = std::getenv("EW_FAULTS");
    const int fd = path == nullptr ? -1 : ::open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) std::abort();
    void* map = ::mmap(nullptr, sizeof(FaultControl), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    if (map == MAP_FAILED) std::abort();
    return static_cast<FaultControl*>(map);
  }();
  return mapped;
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

/// Sockets, pipes and terminals are no disk.
bool is_refused(int fd) {
  if (control()->is_disk_full == 0) return false;
  const bool is_file = ::lseek(fd, 0, SEEK_CUR) >= 0;
  if (is_file) errno = ENOSPC;
  return is_file;
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* bytes, size_t size) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
  return is_refused(fd) ? -1 : real(fd, bytes, size);
}

ssize_t writev(int fd, const iovec* parts, int count) {
  static const auto real = next<ssize_t (*)(int, const iovec*, int)>("writev");
  return is_refused(fd) ? -1 : real(fd, parts, count);
}

int posix_fallocate(int fd, off_t offset, off_t size) {
  static const auto real = next<int (*)(int, off_t, off_t)>("posix_fallocate");
  return is_refused(fd) ? ENOSPC : real(fd, offset, size);
}

int fdatasync(int fd) {
  static const auto real = next<int (*)(int)>("fdatasync");
  FaultControl* faults = control();
  ++faults->held_syncs;
  while (faults->is_sync_held != 0) ::usleep(1000);
  --faults->held_syncs;
  return real(fd);
}

// libasound is loaded by a plug-in, behind this library's back.
long snd_pcm_readi(void* pcm, void* buffer, unsigned long size) {
  using Read = long (*)(void*, void*, unsigned long);
  static const auto real = reinterpret_cast<Read>(
      ::dlsym(::dlopen("libasound.so.2", RTLD_LAZY | RTLD_NOLOAD), "snd_pcm_readi"));
  const int32_t error = control()->sound_error.exchange(0);
  return error != 0 ? error : real(pcm, buffer, size);
}

int clock_gettime(clockid_t clock, timespec* time) {
  static const auto real = next<int (*)(clockid_t, timespec*)>("clock_gettime");
  const int result = real(clock, time);
  if (result != 0 || clock != CLOCK_REALTIME) return result;
  const int64_t us =
      int64_t{time->tv_sec} * 1'000'000 + time->tv_nsec / 1000 + control()->clock_offset_us;
  time->tv_sec = us / 1'000'000;
  time->tv_nsec = us % 1'000'000 * 1000;
  return 0;
}

}  // extern "C"
