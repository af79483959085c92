// `type: serial`: lines from a serial port (termios).
#include <fcntl.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "agent/background.h"
#include "agent/source.h"
#include "host/event_loop.h"

namespace ew::agent {
namespace {

constexpr const char* kParities[] = {"none", "even", "odd"};

constexpr WordDef kWords[] = {
    {.name = "device", .help = "for example /dev/ttyUSB0", .is_required = true},
    {.name = "baud", .kind = WordKind::kInteger, .help = "of the line", .fallback = "115200"},
    {.name = "parity",
     .kind = WordKind::kChoice,
     .help = "of the line",
     .fallback = "none",
     .choices = kParities},
    {.name = "max_line",
     .kind = WordKind::kSize,
     .help = "longer lines are dropped",
     .fallback = "64K",
     .min = 1,
     .max = 16 << 20},
};

struct Speed {
  int64_t baud;
  speed_t code;
};
constexpr Speed kSpeeds[] = {{1200, B1200},     {2400, B2400},     {4800, B4800},
                             {9600, B9600},     {19200, B19200},   {38400, B38400},
                             {57600, B57600},   {115200, B115200}, {230400, B230400},
                             {460800, B460800}, {921600, B921600}, {1000000, B1000000}};

std::optional<speed_t> speed_of(int64_t baud) {
  for (const Speed& speed : kSpeeds) {
    if (speed.baud == baud) return speed.code;
  }
  return std::nullopt;
}

class SerialSource final : public Source, private host::Watcher {
 public:
  SerialSource(const Settings& settings, std::string name, speed_t speed)
      : name_(std::move(name)),
        device_(settings.text("device")),
        parity_(settings.text("parity")),
        speed_(speed),
        max_line_(static_cast<size_t>(settings.size("max_line"))) {}
  ~SerialSource() override { stop(); }

  Status start(const SourceContext& context) override {
    context_.emplace(context);
    open();
    return {};
  }

  // The kernel buffers a few kilobytes; what comes beyond them is lost to the device's own flow
  // control or for good.
  void pause() override { set_reading(false); }
  void resume() override { set_reading(true); }

  void stop() override {
    if (context_) context_->loop.cancel(timer_);
    close();
  }

 private:
  void open() {
    fd_ = ::open(device_.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd_ < 0 || !configure()) return lost(std::strerror(errno));
    if (const Status status = context_->loop.watch(fd_, EPOLLIN, *this); !status.ok()) {
      return lost(status.error().message);
    }
    is_watched_ = true;
    context_->intake.set_state(LinkState::kConnected, device_);
  }

  bool configure() const {
    termios options{};
    if (::tcgetattr(fd_, &options) != 0) return false;
    ::cfmakeraw(&options);
    options.c_cflag |= CLOCAL | CREAD;
    options.c_cflag &= ~static_cast<tcflag_t>(CSTOPB | PARENB | PARODD);
    if (parity_ != "none") options.c_cflag |= PARENB;
    if (parity_ == "odd") options.c_cflag |= PARODD;
    ::cfsetispeed(&options, speed_);
    ::cfsetospeed(&options, speed_);
    return ::tcsetattr(fd_, TCSANOW, &options) == 0;
  }

  void close() {
    if (is_watched_) context_->loop.unwatch(fd_, *this);
    is_watched_ = false;
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    line_.clear();
    is_too_long_ = false;
  }

  // Unplugged, or not there yet.
  void lost(const std::string& why) {
    close();
    context_->intake.set_state(LinkState::kDisconnected, device_ + ": " + why);
    timer_ = context_->loop.call_after(back_off_.next(), [this] { open(); });
  }

  void set_reading(bool is_reading) {
    if (!is_watched_) return;
    const Status status = context_->loop.change(fd_, is_reading ? uint32_t{EPOLLIN} : 0, *this);
    if (!status.ok()) lost(status.error().message);
  }

  void on_ready(uint32_t) override {
    std::array<char, 16384> buffer;
    const ssize_t n = ::read(fd_, buffer.data(), buffer.size());
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return lost(n == 0 ? "the other end has gone" : std::strerror(errno));
    back_off_.reset();
    take({buffer.data(), static_cast<size_t>(n)});
    context_->intake.end_batch();
  }

  void take(std::string_view text) {
    for (size_t end = 0; (end = text.find('\n')) != std::string_view::npos;
         text.remove_prefix(end + 1)) {
      append(text.substr(0, end));
      finish_line();
    }
    append(text);
  }

  void append(std::string_view text) {
    is_too_long_ = is_too_long_ || line_.size() + text.size() > max_line_;
    if (is_too_long_) {
      dropped_ += text.size();
    } else {
      line_ += text;
    }
  }

  void finish_line() {
    if (line_.ends_with('\r')) line_.pop_back();
    if (is_too_long_) {
      context_->intake.drop("", line_.size() + dropped_, DropReason::kTooLarge);
    } else if (!line_.empty()) {
      context_->intake.push(
          {.arrival_us = context_->intake.now_us(), .topic = name_, .payload = line_});
    }
    line_.clear();
    dropped_ = 0;
    is_too_long_ = false;
  }

  std::string name_;
  std::string device_;
  std::string parity_;
  speed_t speed_;
  size_t max_line_;
  std::optional<SourceContext> context_;
  int fd_ = -1;
  bool is_watched_ = false;
  host::EventLoop::TimerId timer_;
  BackOff back_off_;
  std::string line_;  // its beginning
  size_t dropped_ = 0;
  bool is_too_long_ = false;
};

Result<std::unique_ptr<Source>> create(const Settings& settings, const std::string& name) {
  const std::optional<speed_t> speed = speed_of(settings.integer("baud"));
  if (!speed) {
    std::string known;
    for (const Speed& s : kSpeeds) known += (known.empty() ? "" : ", ") + str(s.baud);
    return settings.error("baud", "expected one of " + known);
  }
  return std::unique_ptr<Source>(std::make_unique<SerialSource>(settings, name, *speed));
}

}  // namespace

extern const SourceType kSerialSource;
const SourceType kSerialSource{
    .name = "serial", .help = "lines from a serial port", .words = kWords, .create = create};

}  // namespace ew::agent
