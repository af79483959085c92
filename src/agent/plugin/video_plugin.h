#pragma once
// The interface of libedgewise_video.so, which holds libavformat, libavcodec and libswscale: one
// constant table. Both sides are built from one tree.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agent/record.h"
#include "base/result.h"

namespace ew::agent {

inline constexpr uint32_t kVideoPluginVersion = 1;
inline constexpr const char* kVideoPluginSymbol = "edgewise_video_plugin";
/// libedgewise_camera.so holds libavdevice, which draws in far more than the rest: one function
/// void() that makes its devices known.
inline constexpr const char* kCameraPluginSymbol = "edgewise_camera_register";

/// The part of a picture that is used, in its pixels; width 0: all of it.
struct PictureRegion {
  int left = 0;
  int top = 0;
  int width = 0;
  int height = 0;
};

/// What pictures are turned into.
struct PictureFormat {
  int width = 0;  ///< 0: as they come
  int height = 0;
  int channels = 3;  ///< 3: red, green, blue; 1: brightness
  /// The middle of the picture with the shape of the result, instead of all of it out of shape.
  bool is_cropped = false;
  PictureRegion region;
};

struct VideoAddress {
  std::string url;        ///< a file, rtsp://..., http://... or a device
  std::string demuxer;    ///< "" finds it out; "v4l2" for devices
  std::string protocols;  ///< those that may be opened, also by what the url's content names
  std::vector<std::pair<std::string, std::string>> options;  ///< of the demuxer
  int64_t timeout_us = 10'000'000;                           ///< for one picture; 0: none
  PictureFormat format;
  std::function<bool()> is_stopping;  ///< asked while it waits; true ends what runs with an error
};

struct VideoPicture {
  int64_t time_us = 0;  ///< since the first picture
  int width = 0;        ///< as it came
  int height = 0;
  size_t bytes = 0;  ///< of what convert() writes: [height, width, channels]
};

/// A video that is open. Blocks; one thread at a time. Errors: kIo (unreachable, timed out),
/// kUnsupported (no picture in it, unknown codec), kInvalidData.
class VideoReader {
 public:
  virtual ~VideoReader() = default;
  /// The next picture, decoded; nothing at the end.
  virtual Result<std::optional<VideoPicture>> next() = 0;
  /// Writes that picture in the format asked for; `out` has the picture's `bytes`.
  virtual Status convert(std::span<uint8_t> out) = 0;
  /// When the first picture was taken, in microseconds since 1970; kNoTime if it does not say.
  virtual int64_t start_us() const = 0;
  /// "h264, 1280x720".
  virtual std::string summary() const = 0;
};

struct VideoPlugin {
  uint32_t version;
  Result<std::unique_ptr<VideoReader>> (*open)(const VideoAddress& address);
};

/// Loads the plug-in on first use. Errors: as load_plugin().
Result<const VideoPlugin*> video();

}  // namespace ew::agent
