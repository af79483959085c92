#include "formats/limited_child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/clock.h"
#include "base/sanitizer.h"

namespace ew::formats {
namespace {

constexpr int kChildPipe = 3;
constexpr size_t kBuffer = 65536;

/// Address space in use, or -1 where /proc is missing.
int64_t address_space_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return -1;
  long long pages = -1;
  const int read = std::fscanf(file, "%lld", &pages);
  std::fclose(file);
  return read == 1 ? int64_t{pages} * ::sysconf(_SC_PAGESIZE) : -1;
}

void limit(__rlimit_resource resource, rlim_t soft, rlim_t hard) {
  const rlimit value{soft, hard};
  ::setrlimit(resource, &value);  // fails only where a lower limit holds already
}

void enter_child(int pipe, const ChildLimits& limits, int64_t parent_bytes) {
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPIPE, SIGXCPU, SIGTERM}) {
    ::signal(number, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);

  const int null = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd <= 2 && null >= 0; ++fd) ::dup2(null, fd);
  if (pipe != kChildPipe) ::dup2(pipe, kChildPipe);
  ::close_range(kChildPipe + 1, ~0U, 0);

  limit(RLIMIT_CORE, 0, 0);
  limit(RLIMIT_FSIZE, 0, 0);
  limit(RLIMIT_NPROC, 0, 0);
  if (!kHasShadowMemory) limit(RLIMIT_NOFILE, 0, 0);
  const auto cpu = static_cast<rlim_t>(limits.cpu_seconds);
  limit(RLIMIT_CPU, cpu, cpu + 1);
  if (!kHasShadowMemory && parent_bytes >= 0) {
    const auto bytes = static_cast<rlim_t>(parent_bytes + limits.memory_bytes);
    limit(RLIMIT_AS, bytes, bytes);
  }
}

}  // namespace

Result<LimitedChild> LimitedChild::start(const ChildLimits& limits, const Body& body) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return make_error(ErrorCode::kIo, "cannot make a pipe: ", std::strerror(errno));
  }
  const int64_t parent_bytes = address_space_bytes();
  const pid_t pid = ::fork();
  if (pid == 0) {
    enter_child(ends[1], limits, parent_bytes);
    body(kChildPipe);
    ::_exit(0);
  }
  const int reason = errno;
  ::close(ends[1]);
  if (pid < 0) {
    ::close(ends[0]);
    return make_error(ErrorCode::kIo, "cannot start a process: ", std::strerror(reason));
  }
  return LimitedChild(pid, ends[0], limits.wall_seconds);
}

LimitedChild::LimitedChild(pid_t pid, int pipe, int wall_seconds)
    : pid_(pid),
      pipe_(pipe),
      wall_seconds_(wall_seconds),
      deadline_ms_(steady_clock_us() / 1000 + int64_t{wall_seconds} * 1000) {}

LimitedChild::LimitedChild(LimitedChild&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pipe_(std::exchange(other.pipe_, -1)),
      wall_seconds_(other.wall_seconds_),
      deadline_ms_(other.deadline_ms_),
      buffer_(std::move(other.buffer_)),
      used_(other.used_),
      closed_(other.closed_) {}

LimitedChild::~LimitedChild() { finish(); }

Status LimitedChild::receive(std::span<uint8_t> target) {
  while (!target.empty()) {
    if (used_ < buffer_.size()) {
      const size_t n = std::min(target.size(), buffer_.size() - used_);
      std::memcpy(target.data(), buffer_.data() + used_, n);
      used_ += n;
      target = target.subspan(n);
      continue;
    }
    pollfd ready{pipe_, POLLIN, 0};
    const int64_t left = deadline_ms_ - steady_clock_us() / 1000;
    const int polled = left > 0 ? ::poll(&ready, 1, static_cast<int>(left)) : 0;
    if (polled < 0 && errno == EINTR) continue;
    if (polled == 0) {
      return make_error(ErrorCode::kResourceLimit, "reading took longer than ", wall_seconds_,
                        " s");
    }
    // Large fields go straight to their place, small ones through the buffer.
    const bool direct = target.size() >= kBuffer;
    buffer_.resize(direct ? 0 : kBuffer);
    void* to = direct ? static_cast<void*>(target.data()) : buffer_.data();
    const ssize_t n = ::read(pipe_, to, direct ? target.size() : kBuffer);
    if (!direct) buffer_.resize(n > 0 ? static_cast<size_t>(n) : 0);
    used_ = 0;
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      closed_ = true;
      return make_error(ErrorCode::kIo, "the reading process ended early");
    }
    if (direct) target = target.subspan(static_cast<size_t>(n));
  }
  return {};
}

std::string LimitedChild::finish() {
  if (pipe_ >= 0) ::close(std::exchange(pipe_, -1));
  if (pid_ < 0) return "";
  const pid_t pid = std::exchange(pid_, -1);
  // One that has closed its end is about to exit or crashed; any other is no longer wanted.
  if (!closed_) ::kill(pid, SIGKILL);
  int status = 0;
  pid_t waited = 0;
  while ((waited = ::waitpid(pid, &status, 0)) < 0 && errno == EINTR) {
  }
  if (waited < 0) return "";  // the program ignores SIGCHLD, so nothing is known
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    return str("stopped by signal ", number, " (", ::strsignal(number), ")");
  }
  return WEXITSTATUS(status) == 0 ? "" : str("stopped with exit status ", WEXITSTATUS(status));
}

}  // namespace ew::formats
