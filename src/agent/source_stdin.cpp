// Lines of the standard input.
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>

#include "agent/line_feed.h"

namespace ew::agent {
namespace {

constexpr size_t kChunkBytes = 64 * 1024;

class StdinSource final : public Source, public host::Watcher {
 public:
  explicit StdinSource(const Settings& s)
      : has_header_(s.text("format") == "csv" && s.flag("header")),
        max_line_(static_cast<size_t>(s.size("max_payload"))) {}

  Status start(const SourceContext& context) override {
    loop_ = &context.loop;
    intake_ = &context.intake;
    intake_->set_state(LinkState::kConnected, "");
    // Files cannot be waited for, but are always ready.
    is_watched_ = loop_->watch(STDIN_FILENO, EPOLLIN, *this).ok();
    if (!is_watched_) poll_soon();
    return {};
  }
  void pause() override {
    if (is_paused_ || is_stopped_) return;
    is_paused_ = true;
    if (is_watched_) [[maybe_unused]]
      const Status ignored = loop_->change(STDIN_FILENO, 0, *this);
  }
  void resume() override {
    if (!is_paused_ || is_stopped_) return;
    is_paused_ = false;
    if (is_watched_) {
      [[maybe_unused]] const Status ignored = loop_->change(STDIN_FILENO, EPOLLIN, *this);
    } else {
      poll_soon();
    }
  }
  void stop() override {
    if (is_stopped_ || loop_ == nullptr) return;
    is_stopped_ = true;
    loop_->cancel(timer_);
    if (is_watched_) loop_->unwatch(STDIN_FILENO, *this);
  }

  void on_ready(uint32_t /*events*/) override {
    if (is_stopped_) return;
    const size_t before = buffer_.size();
    buffer_.resize(before + kChunkBytes);
    const ssize_t got = ::read(STDIN_FILENO, buffer_.data() + before, kChunkBytes);
    buffer_.resize(before + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    size_t used = 0;
    for (size_t end = 0; (end = buffer_.find('\n', used)) != std::string::npos; used = end + 1) {
      give(std::string_view(buffer_).substr(used, end - used));
    }
    buffer_.erase(0, used);
    if (buffer_.size() > max_line_ + kChunkBytes) {
      too_long_bytes_ += buffer_.size();
      buffer_.clear();
    }
    if (got <= 0) {
      if (!buffer_.empty() || too_long_bytes_ > 0) give(buffer_);
      stop();
    }
    intake_->end_batch();
    if (got <= 0) intake_->set_state(LinkState::kFinished, "");
  }

 private:
  void poll_soon() {
    timer_ = loop_->call_after(0, [this] {
      on_ready(EPOLLIN);
      if (!is_stopped_ && !is_paused_) poll_soon();
    });
  }
  void give(std::string_view line) {
    if (too_long_bytes_ > 0) {
      intake_->drop("", too_long_bytes_ + line.size(), DropReason::kTooLarge);
      too_long_bytes_ = 0;
      return;
    }
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const bool is_header = has_header_ && lines_++ == 0;
    if (!is_header && !line.empty()) intake_->push({.payload = line});
  }

  bool has_header_;
  size_t max_line_;
  host::EventLoop* loop_ = nullptr;
  Intake* intake_ = nullptr;
  host::EventLoop::TimerId timer_;
  bool is_watched_ = false;
  bool is_paused_ = false;
  bool is_stopped_ = false;
  std::string buffer_;
  size_t too_long_bytes_ = 0;  // of the line's beginning, given up
  uint64_t lines_ = 0;
};

constexpr WordDef kWords[] = {{.name = "header",
                               .kind = WordKind::kFlag,
                               .help = "CSV begins with a line of names",
                               .fallback = "false"}};

Result<std::unique_ptr<Source>> create(const Settings& settings, const std::string& /*name*/) {
  return std::unique_ptr<Source>(std::make_unique<StdinSource>(settings));
}

}  // namespace

const SourceType kStdinSource{
    .name = "stdin", .help = "lines of the standard input", .words = kWords, .create = create};

}  // namespace ew::agent
