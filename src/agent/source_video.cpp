// `type: video`: pictures of a file, a network camera or a device, decoded on a thread of their
// own.
#include <sys/stat.h>

#include <charconv>
#include <optional>

#include "agent/background.h"
#include "agent/frame_queue.h"
#include "agent/pipeline.h"
#include "agent/plugin/video_plugin.h"
#include "agent/region.h"
#include "agent/source.h"
#include "agent/tensor_payload.h"
#include "base/clock.h"
#include "base/plugin.h"
#include "host/yaml.h"

namespace ew::agent {

Result<const VideoPlugin*> video() {
  return load_plugin_table<VideoPlugin>("video", kVideoPluginSymbol, kVideoPluginVersion);
}

namespace {

/// A live picture's own time may differ so much from the clock before it is set anew.
constexpr int64_t kMaxDriftUs = 2'000'000;

constexpr const char* kTransports[] = {"tcp", "udp"};
constexpr const char* kColors[] = {"rgb", "gray"};
constexpr const char* kFits[] = {"stretch", "crop"};
constexpr const char* kPolicies[] = {"drop_oldest", "drop_newest", "wait"};

constexpr WordDef kWords[] = {
    {.name = "path", .help = "a video file; or `url`, or `device`"},
    {.name = "url", .help = "rtsp://... or http://... of a camera"},
    {.name = "device", .help = "a camera at this machine, for example /dev/video0"},
    {.name = "transport",
     .kind = WordKind::kChoice,
     .help = "of RTSP",
     .fallback = "tcp",
     .choices = kTransports},
    {.name = "timeout",
     .kind = WordKind::kDuration,
     .help = "without a picture for so long it connects again",
     .fallback = "10s",
     .min = 0.1},
    {.name = "retry_max",
     .kind = WordKind::kDuration,
     .help = "longest wait between two tries",
     .fallback = "30s",
     .min = 0.5},
    {.name = "capture_size", .help = "what a device is set to, such as 640x480"},
    {.name = "capture_rate",
     .kind = WordKind::kNumber,
     .help = "pictures a second that a device is set to",
     .min = 0.1,
     .max = 1000},
    {.name = "capture_format", .help = "what a device is set to, such as mjpeg or yuyv422"},
    {.name = "width",
     .kind = WordKind::kInteger,
     .help = "of `pixels`; without it, as they come",
     .min = 1,
     .max = 16384},
    {.name = "height",
     .kind = WordKind::kInteger,
     .help = "of `pixels`; without it, as they come",
     .min = 1,
     .max = 16384},
    {.name = "color",
     .kind = WordKind::kChoice,
     .help = "red, green and blue, or brightness alone",
     .fallback = "rgb",
     .choices = kColors},
    {.name = "region",
     .kind = WordKind::kTexts,
     .help = "the part that is used: [left, top, width, height] in pixels"},
    {.name = "fit",
     .kind = WordKind::kChoice,
     .help = "into width and height: all of it out of shape, or its middle",
     .fallback = "stretch",
     .choices = kFits},
    {.name = "mask",
     .kind = WordKind::kList,
     .help = "parts that become black before anything sees them, in pixels of the result",
     .words = kRegionWords},
    {.name = "every",
     .kind = WordKind::kDuration,
     .help = "at most one picture in so long; the others are not used",
     .fallback = "0"},
    {.name = "speed",
     .kind = WordKind::kNumber,
     .help = "of a file: 1: at its own pace; 10: ten times as fast; 0: at once",
     .fallback = "0",
     .min = 0},
    {.name = "start",
     .help = "when a file's first picture was taken, such as 2026-11-28T20:15:00Z; without it, "
             "times count from 1970"},
    {.name = "waiting",
     .kind = WordKind::kInteger,
     .help = "pictures that may wait to be processed",
     .fallback = "4",
     .min = 1,
     .max = 1000},
    {.name = "late",
     .kind = WordKind::kChoice,
     .help = "what is given up when they are full; files wait, others drop_oldest",
     .choices = kPolicies},
};

struct VideoPlan {
  VideoAddress address;
  std::string name;
  std::vector<PixelBox> masks;
  bool is_file = false;
  bool is_device = false;
  int64_t every_us = 0;
  int64_t start_us = kNoTime;  ///< of a file
  int64_t retry_max_us = 0;
  double speed = 0;
  size_t waiting = 1;
  LatePolicy late{};
};

class VideoSource final : public Source {
 public:
  explicit VideoSource(VideoPlan plan)
      : plan_(std::move(plan)), queue_(plan_.name, plan_.waiting, plan_.late) {}

  Status start(const SourceContext& context) override {
    EW_TRY(plugin_, video());
    if (plan_.is_device) {
      EW_TRY(void* enter, load_plugin("camera", kCameraPluginSymbol));
      reinterpret_cast<void (*)()>(enter)();
    }
    // A file that cannot be read now never can be.
    if (plan_.is_file) {
      EW_TRY(reader_, plugin_->open(plan_.address));
    }
    intake_ = &context.intake;
    background_.emplace(context.loop);
    plan_.address.is_stopping = [this] { return background_->is_stopping(); };
    queue_.start(*background_, *intake_);
    background_->start([this] { run(); });
    return {};
  }
  void pause() override { queue_.pause(); }
  void resume() override { queue_.resume(); }
  void stop() override { background_.reset(); }

 private:
  void run() {
    if (plan_.is_file) return run_file();
    BackOff back_off(500'000, plan_.retry_max_us);
    while (!background_->is_stopping()) {
      set_state(LinkState::kConnecting, "");
      Result<std::unique_ptr<VideoReader>> opened = plugin_->open(plan_.address);
      Status ended = opened.ok() ? Status() : Status(opened.error());
      if (opened.ok()) {
        reader_ = std::move(*opened);
        set_state(LinkState::kConnected, reader_->summary());
        ended = read_on(back_off);
        reader_.reset();
      }
      if (background_->is_stopping()) return;
      set_state(LinkState::kDisconnected, ended.ok() ? "the video ended" : ended.error().message);
      background_->wait(back_off.next());
    }
  }

  void run_file() {
    set_state(LinkState::kConnected, reader_->summary());
    BackOff unused;
    const Status ended = read_on(unused);
    if (background_->is_stopping()) return;
    queue_.finish([this, ended] {
      intake_->set_state(ended.ok() ? LinkState::kFinished : LinkState::kFailed,
                         ended.ok() ? "" : ended.error().message);
    });
  }

  /// Until the video ends or the source stops.
  Status read_on(BackOff& back_off) {
    int64_t due_us = 0;
    base_us_ = kNoTime;
    begin_us_ = steady_clock_us();
    for (;;) {
      EW_TRY(const std::optional<VideoPicture> picture, reader_->next());
      if (!picture || background_->is_stopping()) return {};
      back_off.reset();
      ++number_;
      if (picture->time_us < due_us) continue;
      if (plan_.every_us > 0) due_us = (picture->time_us / plan_.every_us + 1) * plan_.every_us;
      if (!keep_pace(picture->time_us)) return {};
      if (!queue_.has_room(picture->bytes)) continue;
      EW_TRY_VOID(give(*picture));
    }
  }

  /// False if the source stops.
  bool keep_pace(int64_t time_us) {
    if (!plan_.is_file || plan_.speed == 0) return true;
    const int64_t at = begin_us_ + static_cast<int64_t>(static_cast<double>(time_us) / plan_.speed);
    // A wait may end early, by the queue's wake().
    for (int64_t now = steady_clock_us(); now < at; now = steady_clock_us()) {
      if (!background_->wait(at - now)) return false;
    }
    return true;
  }

  int64_t event_time(int64_t time_us) {
    if (plan_.is_file) {
      if (base_us_ == kNoTime) base_us_ = plan_.start_us == kNoTime ? 0 : plan_.start_us;
      return base_us_ + time_us;
    }
    const int64_t now = system_clock_us();
    if (base_us_ == kNoTime) {
      // Cameras whose clock is set tell when the first picture was taken.
      const int64_t start = reader_->start_us();
      base_us_ = start == kNoTime ? now - time_us : start;
    }
    if (std::abs(base_us_ + time_us - now) > kMaxDriftUs) base_us_ = now - time_us;
    return base_us_ + time_us;
  }

  Status give(const VideoPicture& picture) {
    const int64_t time_us = event_time(picture.time_us);
    std::string json = str("{\"frame\":", number_ - 1, ",\"time\":");
    append_json_number(json, static_cast<double>(time_us) / 1e6);
    json += str(",\"width\":", picture.width, ",\"height\":", picture.height, "}");
    QueuedFrame frame{encode_tensor(json, DType::kU8, picture.bytes), time_us};
    const std::span<uint8_t> pixels = tensor_elements(frame.payload, json.size());
    EW_TRY_VOID(reader_->convert(pixels));
    const PictureFormat& f = plan_.address.format;
    // Without a region and a size, the result has the picture's own.
    const PictureShape shape{f.height > 0 ? f.height : used_height(picture),
                             f.width > 0 ? f.width : used_width(picture), f.channels};
    for (const PixelBox& box : plan_.masks) hide_box(pixels, shape, box, Hiding::kBlank);
    queue_.offer(std::move(frame));
    return {};
  }

  int used_width(const VideoPicture& picture) const {
    const int width = plan_.address.format.region.width;
    return width > 0 ? width : picture.width;
  }
  int used_height(const VideoPicture& picture) const {
    const int height = plan_.address.format.region.height;
    return height > 0 ? height : picture.height;
  }
  void set_state(LinkState state, const std::string& detail) {
    background_->post([this, state, detail] { intake_->set_state(state, detail); });
  }

  VideoPlan plan_;
  const VideoPlugin* plugin_ = nullptr;
  Intake* intake_ = nullptr;
  FrameQueue queue_;
  // Of the thread, once it runs.
  std::unique_ptr<VideoReader> reader_;
  uint64_t number_ = 0;
  int64_t base_us_ = kNoTime;
  int64_t begin_us_ = 0;
  // Last, so that the thread ends before what it uses.
  std::optional<Background> background_;
};

Status read_region(const Settings& s, PictureRegion& region) {
  const std::vector<std::string> texts = s.texts("region");
  if (texts.empty()) return {};
  int values[4] = {};
  bool is_right = texts.size() == 4;
  for (size_t i = 0; is_right && i < 4; ++i) {
    const std::string& text = texts[i];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), values[i]);
    is_right = error == std::errc() && end == text.data() + text.size() &&
               values[i] >= (i < 2 ? 0 : 1) && values[i] <= 16384;
  }
  if (!is_right) {
    return s.error("region", "expected [left, top, width, height] in pixels");
  }
  region = {values[0], values[1], values[2], values[3]};
  return {};
}

Status read_address(const Settings& s, VideoPlan& plan) {
  int given = 0;
  for (const char* word : {"path", "url", "device"}) given += s.has(word) ? 1 : 0;
  if (given != 1) return s.error("path", "expected either path, url or device");
  VideoAddress& a = plan.address;
  a.timeout_us = s.duration_us("timeout");
  plan.is_file = s.has("path");
  plan.is_device = s.has("device");
  if (plan.is_file) {
    std::string path = s.text("path");
    // Beside the app file, wherever the agent was started.
    const std::string& app = *s.node()->place.file;
    const size_t slash = app.rfind('/');
    if (path[0] != '/' && slash != std::string::npos) path = app.substr(0, slash + 1) + path;
    // Play lists may name other files; what they name on the network stays shut.
    a.url = "file:" + path;
    a.protocols = "file";
    return {};
  }
  if (plan.is_device) {
    a.url = s.text("device");
    a.demuxer = "v4l2";
    if (s.has("capture_size")) a.options.emplace_back("video_size", s.text("capture_size"));
    if (s.has("capture_rate")) a.options.emplace_back("framerate", s.text("capture_rate"));
    if (s.has("capture_format")) a.options.emplace_back("input_format", s.text("capture_format"));
    return {};
  }
  a.url = s.text("url");
  const bool is_rtsp = a.url.starts_with("rtsp://") || a.url.starts_with("rtsps://");
  if (!is_rtsp && !a.url.starts_with("http://") && !a.url.starts_with("https://")) {
    return s.error("url", "expected rtsp://, rtsps://, http:// or https://; a file is `path`");
  }
  a.protocols = is_rtsp ? "rtp,rtsp,srtp,tcp,tls,udp" : "http,https,tcp,tls";
  if (is_rtsp) {
    a.options.emplace_back("rtsp_transport", s.text("transport"));
    a.options.emplace_back("allowed_media_types", "video");
  }
  return {};
}

Result<VideoPlan> read_plan(const Settings& s, const std::string& name) {
  VideoPlan plan;
  plan.name = name;
  EW_TRY_VOID(read_address(s, plan));
  PictureFormat& f = plan.address.format;
  f.width = s.has("width") ? static_cast<int>(s.integer("width")) : 0;
  f.height = s.has("height") ? static_cast<int>(s.integer("height")) : 0;
  f.channels = s.text("color") == "gray" ? 1 : 3;
  f.is_cropped = s.text("fit") == "crop";
  EW_TRY_VOID(read_region(s, f.region));
  if ((f.width == 0) != (f.height == 0)) {
    return s.error("width", "expected width and height, or none of them");
  }
  EW_TRY(plan.masks, read_regions(s, "mask", {f.height, f.width, f.channels}));
  plan.every_us = s.duration_us("every");
  plan.retry_max_us = s.duration_us("retry_max");
  plan.speed = s.number("speed");
  plan.waiting = static_cast<size_t>(s.integer("waiting"));
  plan.late = plan.is_file ? LatePolicy::kWait : LatePolicy::kDropOldest;
  if (s.has("late")) {
    plan.late = s.text("late") == "wait"          ? LatePolicy::kWait
                : s.text("late") == "drop_newest" ? LatePolicy::kDropNewest
                                                  : LatePolicy::kDropOldest;
  }
  if (s.has("start")) {
    const Result<int64_t> start = parse_iso_time_us(s.text("start"));
    if (!start.ok()) return s.error("start", start.error().message);
    plan.start_us = *start;
  }
  if (!plan.is_file && (s.has("speed") || s.has("start"))) {
    return s.error(s.has("speed") ? "speed" : "start", "is a word of files");
  }
  return plan;
}

Result<std::unique_ptr<Source>> create(const Settings& settings, const std::string& name) {
  EW_TRY(VideoPlan plan, read_plan(settings, name));
  return std::unique_ptr<Source>(std::make_unique<VideoSource>(std::move(plan)));
}

size_t tensor_size(const Settings& s) {
  if (!s.has("width") || !s.has("height")) return 0;
  const auto pixels = static_cast<size_t>(s.integer("width") * s.integer("height"));
  return pixels * (s.text("color") == "gray" ? 1 : 3);
}

std::array<int, 3> picture_shape(const Settings& s) {
  if (!s.has("width") || !s.has("height")) return {};
  return {static_cast<int>(s.integer("height")), static_cast<int>(s.integer("width")),
          s.text("color") == "gray" ? 1 : 3};
}

constexpr TensorSource kTensor{
    .field = "pixels", .size = tensor_size, .to_set = "width and height", .picture = picture_shape};

}  // namespace

extern const SourceType kVideoSource;
const SourceType kVideoSource{.name = "video",
                              .help = "pictures of video files, network cameras and devices",
                              .words = kWords,
                              .create = create,
                              .has_own_time = true,
                              .tensor = &kTensor};

}  // namespace ew::agent
