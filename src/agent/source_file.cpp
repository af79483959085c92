// Files and folders of lines (JSON, CSV), and .npy arrays, WFDB records and .wav files, whose rows
// and frames become CSV lines: read once, followed, or replayed at their own pace. With a state
// folder, reading goes on where it stopped.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "agent/line_feed.h"
#include "agent/signal_file.h"
#include "agent/value.h"
#include "base/file.h"
#include "base/npy.h"

namespace ew::agent {
namespace {

constexpr size_t kChunkBytes = 64 * 1024;
constexpr size_t kBatchLines = 256;
constexpr int64_t kFollowUs = 200'000;
/// The upper bits of a position are the file's place in its folder.
constexpr int kFileShift = 40;

constexpr WordDef kWords[] = {
    {.name = "path",
     .help = "a file, or a folder whose files are read in the order of their names",
     .is_required = true},
    {.name = "follow",
     .kind = WordKind::kFlag,
     .help = "wait for what is appended",
     .fallback = "false"},
    {.name = "header",
     .kind = WordKind::kFlag,
     .help = "CSV files begin with a line of names",
     .fallback = "true"},
    {.name = "speed",
     .kind = WordKind::kNumber,
     .help = "1: at the pace of `time:`; 10: ten times as fast; 0: at once",
     .fallback = "0",
     .min = 0},
    {.name = "interval",
     .kind = WordKind::kDuration,
     .help = "between two lines",
     .fallback = "0"}};

/// The rows of an array as CSV lines.
Result<std::string> npy_lines(const std::string& path) {
  EW_TRY(const std::vector<uint8_t> bytes, read_file(path, int64_t{1} << 30));
  EW_TRY(const NpyArray array, parse_npy(bytes));
  if (array.dtype != DType::kF32 && array.dtype != DType::kF64) {
    return unsupported(path, ": expected an array of f32 or f64");
  }
  const auto& dims = array.shape.dims();
  const int64_t rows = dims.empty() ? 1 : dims[0];
  const int64_t columns = rows == 0 ? 0 : array.shape.num_elements() / rows;
  std::string out;
  for (int64_t i = 0; i < rows * columns; ++i) {
    double value = 0;
    if (array.dtype == DType::kF32) {
      float narrow = 0;
      std::memcpy(&narrow, array.bytes.data() + i * 4, 4);
      value = static_cast<double>(narrow);
    } else {
      std::memcpy(&value, array.bytes.data() + i * 8, 8);
    }
    append_json_number(out, value);
    out += (i + 1) % columns == 0 ? '\n' : ',';
  }
  return out;
}

/// The frames of a recording as CSV lines: the time in seconds, then the channels; what is missing
/// is an empty cell.
Result<std::string> signal_lines(const std::string& path) {
  constexpr int64_t kMaxValues = int64_t{1} << 26;
  constexpr int64_t kFrames = 4096;  // read at a time
  EW_TRY(const auto signals, SignalFile::open(path));
  const auto width = static_cast<int64_t>(signals->channels().size());
  if (signals->frames() > kMaxValues / width) {
    return make_error(ErrorCode::kResourceLimit, path, ": ", signals->frames(), " frames of ",
                      width, " channels, above the limit of ", kMaxValues,
                      " values; cut it into parts");
  }
  const double start_s = signals->start_us() == SignalFile::kNoStart
                             ? 0
                             : static_cast<double>(signals->start_us()) * 1e-6;
  std::string out;
  std::vector<float> frames;
  for (int64_t first = 0; first < signals->frames(); first += kFrames) {
    frames.resize(static_cast<size_t>(std::min(kFrames, signals->frames() - first) * width));
    EW_TRY_VOID(signals->read(first, frames));
    for (size_t i = 0; i < frames.size(); ++i) {
      const auto frame = first + static_cast<int64_t>(i) / width;
      if (static_cast<int64_t>(i) % width == 0) {
        if (!out.empty()) out += '\n';
        append_json_number(out, start_s + static_cast<double>(frame) / signals->rate_hz());
      }
      out += ',';
      if (!std::isnan(frames[i])) out += str(frames[i]);
    }
  }
  if (!out.empty()) out += '\n';
  return out;
}

class FileSource final : public Source {
 public:
  FileSource(const Settings& s, std::string path)
      : path_(std::move(path)),
        is_following_(s.flag("follow")),
        has_header_(s.text("format") == "csv" && s.flag("header")),
        max_line_(static_cast<size_t>(s.size("max_payload"))),
        pacer_(pacer_of(s, has_header_ ? csv_header(path_, s.text("separator")[0])
                                       : std::vector<std::string>())) {}
  ~FileSource() override { close_file(); }

  Status start(const SourceContext& context) override {
    loop_ = &context.loop;
    intake_ = &context.intake;
    if (is_directory(path_)) {
      EW_TRY(const auto names, list_directory(path_));
      for (const std::string& name : names) files_.push_back(path_ + "/" + name);
    } else {
      files_.push_back(path_);
    }
    file_ = static_cast<size_t>(context.resume_position >> kFileShift);
    const uint64_t offset = context.resume_position & ((uint64_t{1} << kFileShift) - 1);
    if (file_ < files_.size()) EW_TRY_VOID(open_file(offset));
    intake_->set_state(LinkState::kConnected, path_);
    wake(0);
    return {};
  }
  void pause() override { is_paused_ = true; }
  void resume() override {
    if (!is_paused_) return;
    is_paused_ = false;
    if (loop_ != nullptr && !is_stopped_) wake(0);
  }
  void stop() override {
    is_stopped_ = true;
    if (loop_ != nullptr) loop_->cancel(timer_);
  }
  bool is_durable() const override { return true; }

 private:
  void wake(int64_t delay_us) {
    loop_->cancel(timer_);
    timer_ = loop_->call_after(delay_us, [this] { read_on(); });
  }

  void close_file() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  Status open_file(uint64_t offset) {
    const std::string& name = files_[file_];
    buffer_.clear();
    used_ = 0;
    offset_ = offset;
    is_array_ = file_suffix(name) == ".npy" || is_signal_file(name);
    if (is_array_) {
      EW_TRY(buffer_, is_signal_file(name) ? signal_lines(name) : npy_lines(name));
      used_ = std::min<size_t>(buffer_.size(), static_cast<size_t>(offset));
      return {};
    }
    fd_ = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) {
      return make_error(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, name, ": ",
                        std::strerror(errno));
    }
    if (offset > 0) ::lseek(fd_, static_cast<off_t>(offset), SEEK_SET);
    return {};
  }

  /// Reads a bounded number of lines, then lets others have their turn.
  void read_on() {
    if (is_stopped_ || is_paused_) return;
    size_t lines = 0;
    while (lines < kBatchLines && !is_paused_ && file_ < files_.size()) {
      const size_t end = buffer_.find('\n', used_);
      if (end == std::string::npos) {
        const ssize_t got = is_array_ ? 0 : fill();
        if (got > 0) continue;
        if ((buffer_.size() > used_ || too_long_bytes_ > 0) && !is_following_) {
          give_line(buffer_.size(), buffer_.size() - used_);
          ++lines;
          continue;
        }
        if (is_following_ && file_ + 1 == files_.size()) break;
        if (!next_file()) break;
        continue;
      }
      const std::string_view line = std::string_view(buffer_).substr(used_, end - used_);
      if (const int64_t wait = wait_for(line); wait > 0) {
        if (lines > 0) intake_->end_batch();
        return wake(wait);
      }
      give_line(end, end - used_ + 1);
      ++lines;
    }
    if (lines > 0) intake_->end_batch();
    if (is_stopped_ || is_paused_) return;
    if (file_ >= files_.size()) return intake_->set_state(LinkState::kFinished, "");
    wake(lines == 0 ? kFollowUs : 0);
  }

  int64_t wait_for(std::string_view line) {
    if (!pacer_.is_paced() || is_waited_ || (has_header_ && offset_ == 0)) return 0;
    is_waited_ = true;
    return pacer_.delay_us(line, loop_->steady_us());
  }

  void give_line(size_t end, size_t taken) {
    std::string_view line = std::string_view(buffer_).substr(used_, end - used_);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const bool is_header = has_header_ && offset_ == 0 && !is_array_;
    offset_ += taken;
    used_ += taken;
    is_waited_ = false;
    if (too_long_bytes_ > 0) {
      intake_->drop("", too_long_bytes_ + line.size(), DropReason::kTooLarge);
      too_long_bytes_ = 0;
      return;
    }
    if (is_header || line.empty()) return;
    intake_->push({.topic = files_[file_],
                   .payload = line,
                   .position = (static_cast<uint64_t>(file_) << kFileShift) | offset_});
  }

  /// More bytes behind the buffer; 0 at the end of the file, -1 after an error.
  ssize_t fill() {
    if (used_ > 0) {
      buffer_.erase(0, used_);
      used_ = 0;
    }
    if (buffer_.size() > max_line_ + kChunkBytes) {
      too_long_bytes_ += buffer_.size();
      offset_ += buffer_.size();
      buffer_.clear();
    }
    const size_t before = buffer_.size();
    buffer_.resize(before + kChunkBytes);
    const ssize_t got = ::read(fd_, buffer_.data() + before, kChunkBytes);
    buffer_.resize(before + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return got;
  }

  bool next_file() {
    close_file();
    ++file_;
    if (file_ >= files_.size()) return false;
    const Status opened = open_file(0);
    if (!opened.ok()) {
      intake_->set_state(LinkState::kFailed, opened.error().message);
      is_stopped_ = true;
      return false;
    }
    return true;
  }

  std::string path_;
  bool is_following_;
  bool has_header_;
  size_t max_line_;
  Pacer pacer_;
  host::EventLoop* loop_ = nullptr;
  Intake* intake_ = nullptr;
  host::EventLoop::TimerId timer_;
  std::vector<std::string> files_;
  size_t file_ = 0;
  int fd_ = -1;
  bool is_array_ = false;
  std::string buffer_;
  size_t used_ = 0;
  uint64_t offset_ = 0;
  size_t too_long_bytes_ = 0;  // of the line's beginning, given up
  bool is_paused_ = false;
  bool is_stopped_ = false;
  bool is_waited_ = false;
};

Result<std::unique_ptr<Source>> create(const Settings& settings, const std::string& /*name*/) {
  std::string path = settings.text("path");
  // Beside the app file, wherever the agent was started.
  const std::string& app = *settings.node()->place.file;
  const size_t slash = app.rfind('/');
  if (path[0] != '/' && slash != std::string::npos) path = app.substr(0, slash + 1) + path;
  return std::unique_ptr<Source>(std::make_unique<FileSource>(settings, path));
}

}  // namespace

const SourceType kFileSource{
    .name = "file",
    .help = "lines of files, rows of .npy arrays, frames of WFDB records and .wav files",
    .words = kWords,
    .create = create};

}  // namespace ew::agent
