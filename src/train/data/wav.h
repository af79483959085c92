#pragma once
// RIFF WAVE (Microsoft, "Multiple channel audio data and WAVE files"): PCM of 8, 16, 24 and 32 bits
// and 32-bit float, also as WAVE_FORMAT_EXTENSIBLE.

#include <span>

#include "train/data/byte_file.h"

namespace ew::train {

struct WavInfo {
  int channels = 0;
  int bits = 0;
  bool is_float = false;
  int64_t sample_rate = 0;
  int64_t frames = 0;  ///< one sample per channel each
  int64_t data_offset = 0;
};

/// Walks the chunks. Errors: kInvalidData (no WAVE, cut short, sizes that contradict each other);
/// kUnsupported (other encodings and widths, more than 64 channels).
Result<WavInfo> wav_info(const ByteFile& file);

/// Frames [0, out.size()) as the mean of all channels, in [-1, 1); zeros beyond the end.
/// Errors: kInvalidData (cut short, NaN or Inf in a float file).
Status read_wav_mono(const ByteFile& file, const WavInfo& info, std::span<float> out);

}  // namespace ew::train
