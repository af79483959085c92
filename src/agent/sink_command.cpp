// `type: command`: starts a program for each output, for example to set a GPIO line. No shell is
// involved; the payload comes on its standard input.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <optional>

#include "agent/background.h"
#include "agent/sink.h"

extern char** environ;  // NOLINT: the name is POSIX'

namespace ew::agent {
namespace {

constexpr size_t kMaxWaiting = 16;
constexpr int64_t kPollUs = 2'000;          // while a program runs
constexpr int64_t kIdleUs = 3'600'000'000;  // until the next output

constexpr WordDef kWords[] = {
    {.name = "command",
     .kind = WordKind::kTexts,
     .help = "program and arguments; {key}, {rule}, {topic} and {id} stand for the output's",
     .is_required = true},
    {.name = "timeout",
     .kind = WordKind::kDuration,
     .help = "the program is killed then",
     .fallback = "10s",
     .min = 0.01},
    {.name = "tries",
     .kind = WordKind::kInteger,
     .help = "how often an output is tried until exit status 0",
     .fallback = "3",
     .min = 1,
     .max = 1000},
};

struct Job {
  uint64_t ticket = 0;
  std::vector<std::string> arguments;
  std::string payload;
};

// One run. Errors say how the program ended.
class Run {
 public:
  Status start(const Job& job) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return failed("pipe", errno);
    input_ = ends[1];
    ::fcntl(input_, F_SETFL, O_NONBLOCK);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    std::vector<char*> arguments;
    for (const std::string& a : job.arguments) arguments.push_back(const_cast<char*>(a.c_str()));
    arguments.push_back(nullptr);
    const int error =
        ::posix_spawnp(&child_, arguments[0], &actions, &attributes, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    ::close(ends[0]);
    if (error != 0) child_ = 0;
    return error == 0 ? Status() : failed(job.arguments[0], error);
  }

  ~Run() {
    if (input_ >= 0) ::close(input_);
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
  }

  /// Writes what the program takes of `payload` and looks whether it has ended.
  std::optional<Status> step(std::string_view payload) {
    while (input_ >= 0) {
      const ssize_t n = ::write(input_, payload.data() + written_, payload.size() - written_);
      if (n > 0) written_ += static_cast<size_t>(n);
      if (n < 0 && errno == EAGAIN) break;
      // A program need not read its input.
      if (n < 0 || written_ == payload.size()) ::close(std::exchange(input_, -1));
    }
    int status = 0;
    if (::waitpid(child_, &status, WNOHANG) == 0) return std::nullopt;
    child_ = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return Status();
    return Status(make_error(ErrorCode::kIo, WIFEXITED(status)
                                                 ? str("exit status ", WEXITSTATUS(status))
                                                 : str("ended by signal ", WTERMSIG(status))));
  }

 private:
  static Error failed(const std::string& what, int error) {
    return make_error(ErrorCode::kIo, what, ": ", std::strerror(error));
  }

  pid_t child_ = 0;
  int input_ = -1;
  size_t written_ = 0;
};

class CommandSink final : public Sink {
 public:
  explicit CommandSink(const Settings& settings)
      : command_(settings.texts("command")),
        timeout_us_(settings.duration_us("timeout")),
        tries_(settings.integer("tries")) {}

  Status start(const SinkContext& context) override {
    outlet_ = &context.outlet;
    background_.emplace(context.loop);
    background_->start([this] { work(); });
    outlet_->set_state(LinkState::kConnected, command_[0]);
    return {};
  }

  bool ready() const override { return waiting_ < kMaxWaiting; }

  SendResult send(const Output& output) override {
    Job job{output.ticket, command_, std::string(output.payload)};
    for (std::string& argument : job.arguments) fill_in(argument, output);
    ++waiting_;
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    background_->wake();
    return SendResult::kInFlight;
  }

  void stop() override { background_.reset(); }
  bool is_acknowledged() const override { return true; }

 private:
  static void fill_in(std::string& text, const Output& output) {
    const std::pair<std::string_view, std::string_view> words[] = {{"{key}", output.key},
                                                                   {"{rule}", output.rule},
                                                                   {"{topic}", output.topic},
                                                                   {"{id}", output.id}};
    for (size_t i = 0; (i = text.find('{', i)) != std::string::npos; ++i) {
      for (const auto& [word, value] : words) {
        if (text.compare(i, word.size(), word) != 0) continue;
        text.replace(i, word.size(), value);
        i += value.size() - 1;  // what was put in is not looked at again
        break;
      }
    }
  }

  void work() {
    while (background_->wait(kIdleUs)) {
      while (std::optional<Job> job = take()) {
        const Status status = try_job(*job);
        if (background_->is_stopping()) return;
        background_->post([this, ticket = job->ticket, status] {
          --waiting_;
          if (status.ok()) {
            outlet_->delivered(ticket);
          } else {
            outlet_->refused(ticket, status.error().message);
          }
          if (waiting_ + 1 == kMaxWaiting) outlet_->ready();
        });
      }
    }
  }

  std::optional<Job> take() {
    const std::lock_guard lock(mutex_);
    if (jobs_.empty()) return std::nullopt;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    return job;
  }

  Status try_job(const Job& job) {
    BackOff back_off(100'000);
    Status status;
    for (int64_t i = 0; i < tries_; ++i) {
      if (i > 0 && !background_->wait(back_off.next())) break;
      status = run(job);
      if (status.ok()) break;
    }
    return status;
  }

  Status run(const Job& job) {
    Run run;
    EW_TRY_VOID(run.start(job));
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(timeout_us_);
    do {
      if (const std::optional<Status> done = run.step(job.payload)) return *done;
      if (std::chrono::steady_clock::now() > end) {
        return make_error(ErrorCode::kIo, "killed after ", duration_text(timeout_us_));
      }
    } while (background_->wait(kPollUs));
    return make_error(ErrorCode::kInterrupted, "stopped");
  }

  std::vector<std::string> command_;
  int64_t timeout_us_;
  int64_t tries_;
  Outlet* outlet_ = nullptr;
  size_t waiting_ = 0;
  std::mutex mutex_;
  std::deque<Job> jobs_;
  std::optional<Background> background_;
};

Result<std::unique_ptr<Sink>> create(const Settings& settings, const std::string&) {
  if (settings.texts("command").empty()) return settings.error("command", "expected a program");
  return std::unique_ptr<Sink>(std::make_unique<CommandSink>(settings));
}

}  // namespace

extern const SinkType kCommandSink;
const SinkType kCommandSink{.name = "command",
                            .help = "a program started for each output",
                            .words = kWords,
                            .create = create};

}  // namespace ew::agent
