#pragma once
// Recordings of sampled signals: WFDB records and WAV files, read frame by frame.

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace ew::agent {

/// A frame has one value per channel. Not thread-safe.
class SignalFile {
 public:
  virtual ~SignalFile() = default;

  /// By suffix: .hea (WFDB header; its signal files lie beside it) or .wav.
  /// WFDB (header(5) and signal(5) of the WFDB manual): formats 16, 24, 32, 61, 80, 160 and 212,
  /// byte offsets, skew, several samples per frame (averaged), in physical units; samples marked as
  /// invalid are NaN. WAV: PCM of 8 to 32 bits and float, in [-1, 1).
  /// Errors: kNotFound, kIo; kInvalidData (with file and line); kUnsupported (other formats,
  /// segmented records).
  static Result<std::unique_ptr<SignalFile>> open(const std::string& path);

  double rate_hz() const { return rate_hz_; }
  /// Names are unique; "channel 1" and so on where the file has none.
  const std::vector<std::string>& channels() const { return channels_; }
  int64_t frames() const { return frames_; }
  /// Microseconds since 1970 of the first frame, read as UTC; kNoStart if the file does not say.
  static constexpr int64_t kNoStart = std::numeric_limits<int64_t>::min();
  int64_t start_us() const { return start_us_; }

  /// Frames [first, first + out.size() / channels().size()), channel by channel within a frame.
  /// They must exist. Errors: kInvalidData (cut short), kIo.
  virtual Status read(int64_t first, std::span<float> out) = 0;

 protected:
  double rate_hz_ = 0;
  std::vector<std::string> channels_;
  int64_t frames_ = 0;
  int64_t start_us_ = kNoStart;
};

Result<std::unique_ptr<SignalFile>> open_wfdb(const std::string& path);

}  // namespace ew::agent
