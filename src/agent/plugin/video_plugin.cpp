#include "agent/plugin/video_plugin.h"

#include "base/clock.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <array>

namespace ew::agent {
namespace {

/// Packets in a row that cannot be decoded before the video counts as broken: cameras and networks
/// lose some, and pictures begin with a key frame.
constexpr int kMaxBroken = 500;
constexpr int kMaxSide = 16384;

std::string reason(int code) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  return av_make_error_string(text.data(), text.size(), code);
}

struct Free {
  void operator()(AVFormatContext* p) const { avformat_close_input(&p); }
  void operator()(AVCodecContext* p) const { avcodec_free_context(&p); }
  void operator()(AVFrame* p) const { av_frame_free(&p); }
  void operator()(AVPacket* p) const { av_packet_free(&p); }
  void operator()(SwsContext* p) const { sws_freeContext(p); }
};

/// Formats whose only difference is the range of their values, which swscale wants by itself.
AVPixelFormat limited_twin(AVPixelFormat format) {
  switch (format) {
    case AV_PIX_FMT_YUVJ420P:
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
      return AV_PIX_FMT_YUV444P;
    case AV_PIX_FMT_YUVJ440P:
      return AV_PIX_FMT_YUV440P;
    default:
      return format;
  }
}

class Reader final : public VideoReader {
 public:
  Status open(const VideoAddress& address) {
    address_ = address;
    const AVInputFormat* demuxer = nullptr;
    if (!address.demuxer.empty()) {
      demuxer = av_find_input_format(address.demuxer.c_str());
      if (demuxer == nullptr) return unsupported("libav has no '", address.demuxer, "'");
    }
    AVFormatContext* made = avformat_alloc_context();
    if (made == nullptr) return make_error(ErrorCode::kResourceLimit, "no memory");
    made->interrupt_callback = {interrupted, this};
    AVDictionary* options = nullptr;
    if (!address.protocols.empty()) {
      av_dict_set(&options, "protocol_whitelist", address.protocols.c_str(), 0);
    }
    for (const auto& [name, value] : address.options) {
      av_dict_set(&options, name.c_str(), value.c_str(), 0);
    }
    start_waiting();
    // Frees `made` when it fails.
    const int opened = avformat_open_input(&made, address.url.c_str(), demuxer, &options);
    av_dict_free(&options);
    if (opened < 0) return failed("cannot open it", opened);
    format_.reset(made);
    const int known = avformat_find_stream_info(format_.get(), nullptr);
    if (known < 0) return failed("cannot read it", known);
    return open_codec();
  }

  Result<std::optional<VideoPicture>> next() override {
    start_waiting();
    for (;;) {
      const int got = avcodec_receive_frame(codec_.get(), frame_.get());
      if (got == 0) return take_frame();
      if (got == AVERROR_EOF) return std::optional<VideoPicture>();
      if (got != AVERROR(EAGAIN)) EW_TRY_VOID(note_broken(got));
      if (is_at_end_) return std::optional<VideoPicture>();
      EW_TRY_VOID(read_packet());
    }
  }

  Status convert(std::span<uint8_t> out) override {
    const Size size = result_size();
    const int channels = address_.format.channels;
    if (out.size() != result_bytes(size)) return invalid_argument("picture of another size");
    frame_->format = limited_twin(static_cast<AVPixelFormat>(frame_->format));
    const auto format = static_cast<AVPixelFormat>(frame_->format);
    const AVPixelFormat wanted = channels == 1 ? AV_PIX_FMT_GRAY8 : AV_PIX_FMT_RGB24;
    scaler_.reset(sws_getCachedContext(
        scaler_.release(), frame_->width, frame_->height, format, size.width, size.height, wanted,
        SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, nullptr, nullptr, nullptr));
    if (!scaler_) {
      const char* name = av_get_pix_fmt_name(format);
      return unsupported(address_.url, ": cannot convert pictures of the format ",
                         name == nullptr ? "unknown" : name);
    }
    constexpr int kUnity = 1 << 16;
    const int* space = sws_getCoefficients(
        frame_->colorspace == AVCOL_SPC_UNSPECIFIED ? SWS_CS_DEFAULT : frame_->colorspace);
    const bool is_full = is_full_range_ || frame_->color_range == AVCOL_RANGE_JPEG;
    // Brightness is 0 to 255, as colours are. Refused for formats that have but one range.
    sws_setColorspaceDetails(scaler_.get(), space, is_full ? 1 : 0, space, 1, 0, kUnity, kUnity);
    uint8_t* planes[4] = {out.data(), nullptr, nullptr, nullptr};
    const int strides[4] = {size.width * channels, 0, 0, 0};
    const int rows = sws_scale(scaler_.get(), frame_->data, frame_->linesize, 0, frame_->height,
                               planes, strides);
    if (rows != size.height) return invalid_data(address_.url, ": a picture cannot be converted");
    return {};
  }

  int64_t start_us() const override {
    if (format_->start_time_realtime != AV_NOPTS_VALUE && format_->start_time_realtime > 0) {
      return format_->start_time_realtime;
    }
    return kNoTime;
  }

  std::string summary() const override {
    return str(avcodec_get_name(codec_->codec_id), ", ", codec_->width, "x", codec_->height);
  }

 private:
  struct Size {
    int width = 0;
    int height = 0;
  };

  static int interrupted(void* self) {
    const auto* reader = static_cast<const Reader*>(self);
    if (reader->address_.is_stopping && reader->address_.is_stopping()) return 1;
    return reader->deadline_us_ > 0 && steady_clock_us() > reader->deadline_us_ ? 1 : 0;
  }
  void start_waiting() {
    deadline_us_ = address_.timeout_us == 0 ? 0 : steady_clock_us() + address_.timeout_us;
  }

  Error failed(const std::string& what, int code) const {
    const bool is_late =
        code == AVERROR_EXIT && deadline_us_ > 0 && steady_clock_us() > deadline_us_;
    const ErrorCode kind = code == AVERROR(ENOENT)       ? ErrorCode::kNotFound
                           : code == AVERROR_INVALIDDATA ? ErrorCode::kInvalidData
                                                         : ErrorCode::kIo;
    return make_error(
        kind, address_.url, ": ", what, ": ",
        is_late ? str("nothing came for ", address_.timeout_us / 1000, " ms") : reason(code));
  }

  Status open_codec() {
    const AVCodec* decoder = nullptr;
    stream_ = av_find_best_stream(format_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0);
    if (stream_ == AVERROR_DECODER_NOT_FOUND) {
      const int any = av_find_best_stream(format_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
      const AVCodecID id = any < 0 ? AV_CODEC_ID_NONE : parameters(any)->codec_id;
      return unsupported(address_.url, ": this libav has no decoder for '", avcodec_get_name(id),
                         "'; convert the video, or install a libavcodec that has one");
    }
    if (stream_ < 0) {
      return unsupported(address_.url, ": expected a video, found ", format_->nb_streams,
                         " streams without pictures");
    }
    // What nobody reads need not be split up.
    for (unsigned i = 0; i < format_->nb_streams; ++i) {
      if (static_cast<int>(i) != stream_) format_->streams[i]->discard = AVDISCARD_ALL;
    }
    codec_.reset(avcodec_alloc_context3(decoder));
    frame_.reset(av_frame_alloc());
    packet_.reset(av_packet_alloc());
    if (!codec_ || !frame_ || !packet_) return make_error(ErrorCode::kResourceLimit, "no memory");
    avcodec_parameters_to_context(codec_.get(), parameters(stream_));
    codec_->thread_count = 1;
    codec_->pkt_timebase = format_->streams[stream_]->time_base;
    const int opened = avcodec_open2(codec_.get(), decoder, nullptr);
    if (opened < 0)
      return failed(str("cannot decode ", avcodec_get_name(codec_->codec_id)), opened);
    return {};
  }

  const AVCodecParameters* parameters(int stream) const {
    return format_->streams[stream]->codecpar;
  }

  Status note_broken(int code) {
    if (code != AVERROR_INVALIDDATA || ++broken_ > kMaxBroken) return failed("cannot decode", code);
    return {};
  }

  Status read_packet() {
    const int got = av_read_frame(format_.get(), packet_.get());
    if (got == AVERROR_EOF) {
      // The decoder gives what it still holds.
      is_at_end_ = avcodec_send_packet(codec_.get(), nullptr) < 0;
      return {};
    }
    if (got < 0) return failed("cannot read on", got);
    int sent = 0;
    if (packet_->stream_index == stream_) sent = avcodec_send_packet(codec_.get(), packet_.get());
    av_packet_unref(packet_.get());
    if (sent < 0 && sent != AVERROR(EAGAIN)) return note_broken(sent);
    return {};
  }

  Result<std::optional<VideoPicture>> take_frame() {
    broken_ = 0;
    VideoPicture picture;
    picture.width = frame_->width;
    picture.height = frame_->height;
    picture.time_us = time_of_frame();
    const auto format = static_cast<AVPixelFormat>(frame_->format);
    is_full_range_ = limited_twin(format) != format;
    EW_TRY_VOID(crop());
    picture.bytes = result_bytes(result_size());
    return std::optional<VideoPicture>(picture);
  }

  /// By the file's own times; where it has none, evenly.
  int64_t time_of_frame() {
    const AVStream* stream = format_->streams[stream_];
    const AVRational rate = av_guess_frame_rate(format_.get(), format_->streams[stream_], nullptr);
    int64_t time = last_us_ + (count_ == 0    ? 0
                               : rate.num > 0 ? 1'000'000LL * rate.den / rate.num
                                              : 1);
    if (frame_->best_effort_timestamp != AV_NOPTS_VALUE) {
      const int64_t us =
          av_rescale_q(frame_->best_effort_timestamp, stream->time_base, {1, 1'000'000});
      if (count_ == 0) first_us_ = us;
      time = us - first_us_;
    }
    ++count_;
    last_us_ = std::max(last_us_, time);
    return last_us_;
  }

  /// Narrows the frame to its region, and to the shape of the result.
  Status crop() {
    const PictureFormat& f = address_.format;
    PictureRegion r = f.region;
    if (r.width == 0) r = {0, 0, frame_->width, frame_->height};
    if (r.left + r.width > frame_->width || r.top + r.height > frame_->height) {
      return invalid_argument(address_.url, ": region [", r.left, ", ", r.top, ", ", r.width, ", ",
                              r.height, "] does not lie in a picture of ", frame_->width, "x",
                              frame_->height);
    }
    if (f.is_cropped && f.width > 0 && f.height > 0) {
      // Sides are at most kMaxSide, so that products fit.
      const int width = std::clamp(r.height * f.width / f.height, 1, r.width);
      const int height = std::clamp(r.width * f.height / f.width, 1, r.height);
      r = {r.left + (r.width - width) / 2, r.top + (r.height - height) / 2, width, height};
    }
    frame_->crop_left = static_cast<size_t>(r.left);
    frame_->crop_top = static_cast<size_t>(r.top);
    frame_->crop_right = static_cast<size_t>(frame_->width - r.left - r.width);
    frame_->crop_bottom = static_cast<size_t>(frame_->height - r.top - r.height);
    const int cropped = av_frame_apply_cropping(frame_.get(), AV_FRAME_CROP_UNALIGNED);
    if (cropped < 0) return failed("cannot cut out the region", cropped);
    return {};
  }

  Size result_size() const {
    const PictureFormat& f = address_.format;
    return {f.width > 0 ? f.width : frame_->width, f.height > 0 ? f.height : frame_->height};
  }
  size_t result_bytes(Size size) const {
    return static_cast<size_t>(size.width) * static_cast<size_t>(size.height) *
           static_cast<size_t>(address_.format.channels);
  }

  VideoAddress address_;
  std::unique_ptr<AVFormatContext, Free> format_;
  std::unique_ptr<AVCodecContext, Free> codec_;
  std::unique_ptr<AVFrame, Free> frame_;
  std::unique_ptr<AVPacket, Free> packet_;
  std::unique_ptr<SwsContext, Free> scaler_;
  int stream_ = -1;
  int broken_ = 0;
  bool is_at_end_ = false;
  bool is_full_range_ = false;
  int64_t deadline_us_ = 0;
  int64_t count_ = 0;
  int64_t first_us_ = 0;
  int64_t last_us_ = 0;
};

Result<std::unique_ptr<VideoReader>> open_reader(const VideoAddress& address) {
  const PictureFormat& f = address.format;
  if (f.width < 0 || f.height < 0 || f.width > kMaxSide || f.height > kMaxSide) {
    return invalid_argument("pictures have up to ", kMaxSide, " rows and columns");
  }
  // The reasons come as codes; what it writes to standard error is for its developers.
  av_log_set_level(AV_LOG_QUIET);
  auto reader = std::make_unique<Reader>();
  EW_TRY_VOID(reader->open(address));
  return std::unique_ptr<VideoReader>(std::move(reader));
}

}  // namespace
}  // namespace ew::agent

extern "C" __attribute__((visibility("default")))
const ew::agent::VideoPlugin edgewise_video_plugin;
const ew::agent::VideoPlugin edgewise_video_plugin = {ew::agent::kVideoPluginVersion,
                                                      ew::agent::open_reader};
