// Lines to a file or to the standard output. What is written has left the process, so it counts as
// delivered behind the write, not before.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "agent/json_scan.h"
#include "agent/sink.h"
#include "host/event_loop.h"

namespace ew::agent {
namespace {

/// Outputs in one write: as many can be doubled by a crash between the write and its note.
constexpr size_t kBatch = 64;
constexpr int64_t kRetryUs = 1'000'000;

constexpr const char* kFormats[] = {"lines", "csv"};

constexpr WordDef kFileWords[] = {
    {.name = "path", .help = "the file; what is there is kept", .is_required = true},
    {.name = "format",
     .kind = WordKind::kChoice,
     .help = "payloads as they are, or columns",
     .fallback = "lines",
     .choices = kFormats},
    {.name = "columns", .kind = WordKind::kTexts, .help = "fields that are CSV columns"}};

class LineSink final : public Sink {
 public:
  /// An empty path is the standard output.
  LineSink(std::string path, std::vector<std::string> columns) : path_(std::move(path)) {
    for (const std::string& column : columns) fields_.want(column);
    values_.resize(fields_.slot_count());
  }
  ~LineSink() override {
    if (fd_ > STDERR_FILENO) ::close(fd_);
  }

  Status start(const SinkContext& context) override {
    loop_ = &context.loop;
    outlet_ = &context.outlet;
    fd_ = STDOUT_FILENO;
    if (!path_.empty()) {
      fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
      if (fd_ < 0) return make_error(ErrorCode::kIo, path_, ": ", std::strerror(errno));
      if (values_.size() > 0 && ::lseek(fd_, 0, SEEK_END) == 0) append_header();
    }
    outlet_->set_state(LinkState::kConnected, path_);
    return {};
  }
  bool ready() const override { return !is_failing_; }
  bool is_acknowledged() const override { return true; }

  SendResult send(const Output& output) override {
    if (tickets_.size() >= kBatch) write_out();
    if (is_failing_) return SendResult::kBusy;
    if (values_.empty()) {
      buffer_ += output.payload;
    } else {
      append_columns(output.payload);
    }
    buffer_ += '\n';
    tickets_.push_back(output.ticket);
    return SendResult::kInFlight;
  }
  void flush() override { write_out(); }
  void stop() override {
    flush();
    if (loop_ != nullptr) loop_->cancel(timer_);
  }

 private:
  void append_header() {
    for (size_t i = 0; i < fields_.paths().size(); ++i) {
      buffer_ += (i > 0 ? "," : "") + fields_.paths()[i];
    }
    buffer_ += '\n';
  }

  void append_columns(std::string_view payload) {
    [[maybe_unused]] const JsonScan scan = scan_json(payload, fields_, values_, scratch_);
    for (size_t i = 0; i < values_.size(); ++i) {
      if (i > 0) buffer_ += ',';
      if (values_[i].is_missing()) continue;
      if (!values_[i].is_text()) {
        append_json(buffer_, values_[i]);
        continue;
      }
      const std::string_view text = values_[i].text;
      if (text.find_first_of(",\"\n\r") == std::string_view::npos) {
        buffer_ += text;
        continue;
      }
      buffer_ += '"';
      for (const char c : text) buffer_ += c == '"' ? std::string("\"\"") : std::string(1, c);
      buffer_ += '"';
    }
  }

  void write_out() {
    if (is_failing_ || tickets_.empty()) return;
    size_t done = 0;
    while (done < buffer_.size()) {
      const ssize_t wrote = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
      if (wrote > 0) {
        done += static_cast<size_t>(wrote);
        continue;
      }
      if (errno == EINTR) continue;
      return fail(done);
    }
    buffer_.clear();
    std::vector<uint64_t> sent;
    sent.swap(tickets_);
    for (const uint64_t ticket : sent) outlet_->delivered(ticket);
  }

  /// A full disk or a closed pipe: what is not out is offered again later.
  void fail(size_t done) {
    const std::string why = std::strerror(errno);
    // A line that is half written must not be continued by another one.
    if (done > 0 && !path_.empty()) {
      const off_t end = ::lseek(fd_, 0, SEEK_END);
      if (end >= static_cast<off_t>(done)) {
        [[maybe_unused]] const int cut = ::ftruncate(fd_, end - static_cast<off_t>(done));
      }
    }
    is_failing_ = true;
    buffer_.clear();
    tickets_.clear();
    outlet_->set_state(LinkState::kDisconnected, why);
    outlet_->reset();
    timer_ = loop_->call_after(kRetryUs, [this] {
      is_failing_ = false;
      outlet_->set_state(LinkState::kConnected, path_);
      outlet_->ready();
      flush();
    });
  }

  std::string path_;
  FieldTree fields_;
  std::vector<Value> values_;
  std::string scratch_;
  host::EventLoop* loop_ = nullptr;
  Outlet* outlet_ = nullptr;
  host::EventLoop::TimerId timer_;
  int fd_ = -1;
  std::string buffer_;
  std::vector<uint64_t> tickets_;
  bool is_failing_ = false;
};

Result<std::unique_ptr<Sink>> create_file(const Settings& settings, const std::string& /*name*/) {
  std::string path = settings.text("path");
  const std::string& app = *settings.node()->place.file;
  const size_t slash = app.rfind('/');
  if (path[0] != '/' && slash != std::string::npos) path = app.substr(0, slash + 1) + path;
  const bool is_csv = settings.text("format") == "csv";
  const std::vector<std::string> columns = settings.texts("columns");
  if (is_csv && columns.empty()) return settings.error("format", "csv needs 'columns'");
  return std::unique_ptr<Sink>(
      std::make_unique<LineSink>(path, is_csv ? columns : std::vector<std::string>()));
}

Result<std::unique_ptr<Sink>> create_stdout(const Settings& /*settings*/,
                                            const std::string& /*name*/) {
  return std::unique_ptr<Sink>(std::make_unique<LineSink>("", std::vector<std::string>()));
}

}  // namespace

extern const SinkType kFileSink;
const SinkType kFileSink{
    .name = "file", .help = "lines appended to a file", .words = kFileWords, .create = create_file};
extern const SinkType kStdoutSink;
const SinkType kStdoutSink{
    .name = "stdout", .help = "lines on the standard output", .words = {}, .create = create_stdout};

}  // namespace ew::agent
