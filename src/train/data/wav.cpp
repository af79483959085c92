#include "train/data/wav.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace ew::train {
namespace {

constexpr int kPcm = 1;
constexpr int kFloat = 3;
constexpr int kExtensible = 0xfffe;
constexpr int kMaxChannels = 64;
constexpr int kMaxChunks = 10000;  // a file of empty chunks must end

uint32_t little(const uint8_t* p, int bytes) {
  uint32_t value = 0;
  for (int i = bytes - 1; i >= 0; --i) value = value << 8 | p[i];
  return value;
}

bool is_tag(const uint8_t* p, const char* tag) { return std::memcmp(p, tag, 4) == 0; }

Status parse_format(const ByteFile& file, int64_t offset, int64_t size, WavInfo& info) {
  const std::string& path = file.path();
  if (size < 16) return invalid_data(path, ": fmt chunk of ", size, " bytes, expected at least 16");
  uint8_t bytes[40] = {};
  EW_TRY_VOID(
      file.read(offset, std::span(bytes, static_cast<size_t>(std::min<int64_t>(size, 40)))));
  auto format = static_cast<int>(little(bytes, 2));
  if (format == kExtensible && size >= 40) format = static_cast<int>(little(bytes + 24, 2));
  info.channels = static_cast<int>(little(bytes + 2, 2));
  info.sample_rate = little(bytes + 4, 4);
  info.bits = static_cast<int>(little(bytes + 14, 2));
  info.is_float = format == kFloat;
  const bool is_known = info.is_float ? info.bits == 32
                                      : format == kPcm && (info.bits == 8 || info.bits == 16 ||
                                                           info.bits == 24 || info.bits == 32);
  if (!is_known) {
    return unsupported(path, ": WAV format ", format, " with ", info.bits,
                       " bits (expected PCM of 8, 16, 24 or 32 bits, or 32-bit float)");
  }
  if (info.channels > kMaxChannels) {
    return unsupported(path, ": ", info.channels, " channels, at most ", kMaxChannels);
  }
  if (info.channels < 1 || info.sample_rate < 1) {
    return invalid_data(path, ": ", info.channels, " channels at ", info.sample_rate, " Hz");
  }
  const int block = static_cast<int>(little(bytes + 12, 2));
  if (block != info.channels * info.bits / 8) {
    return invalid_data(path, ": block of ", block, " bytes for ", info.channels, " channels of ",
                        info.bits, " bits");
  }
  return {};
}

float sample_at(const uint8_t* p, const WavInfo& info) {
  switch (info.bits) {
    case 8:
      return (static_cast<float>(*p) - 128.f) / 128.f;
    case 16:
      return static_cast<float>(static_cast<int16_t>(little(p, 2))) / 32768.f;
    case 24:
      return static_cast<float>(static_cast<int32_t>(little(p, 3) << 8)) / 2147483648.f;
    default:
      break;
  }
  if (info.is_float) return std::bit_cast<float>(little(p, 4));
  return static_cast<float>(static_cast<int32_t>(little(p, 4))) / 2147483648.f;
}

}  // namespace

Result<WavInfo> wav_info(const ByteFile& file) {
  const std::string& path = file.path();
  uint8_t head[12] = {};
  if (file.size() < 12) return invalid_data(path, ": not a WAV file: ", file.size(), " bytes");
  EW_TRY_VOID(file.read(0, head));
  if (!is_tag(head, "RIFF") || !is_tag(head + 8, "WAVE")) {
    return invalid_data(path, ": not a WAV file: it does not begin with RIFF and WAVE");
  }
  WavInfo info;
  int64_t at = 12;
  for (int chunk = 0; chunk < kMaxChunks && file.size() - at >= 8; ++chunk) {
    EW_TRY_VOID(file.read(at, std::span(head, 8)));
    const int64_t size = little(head + 4, 4);
    const int64_t left = file.size() - at - 8;
    at += 8;
    const bool is_data = is_tag(head, "data");
    // A program that wrote to a pipe did not know the length.
    const bool is_open_ended = is_data && size == 0xffffffff;
    if (size > left && !is_open_ended) {
      return invalid_data(path, ": cut short: chunk '",
                          std::string(reinterpret_cast<const char*>(head), 4), "' says ", size,
                          " bytes, ", left, " are left");
    }
    if (is_tag(head, "fmt ")) EW_TRY_VOID(parse_format(file, at, size, info));
    if (is_data) {
      if (info.channels == 0) return invalid_data(path, ": data chunk before the fmt chunk");
      info.data_offset = at;
      info.frames = std::min(size, left) / (info.channels * info.bits / 8);
      return info;
    }
    at += size + (size & 1);
  }
  return invalid_data(path, ": has no data chunk");
}

Status read_wav_mono(const ByteFile& file, const WavInfo& info, std::span<float> out) {
  const auto frames = static_cast<size_t>(std::min(static_cast<int64_t>(out.size()), info.frames));
  const auto width = static_cast<size_t>(info.bits / 8);
  const auto channels = static_cast<size_t>(info.channels);
  std::vector<uint8_t> bytes(frames * channels * width);
  EW_TRY_VOID(file.read(info.data_offset, bytes));
  const uint8_t* p = bytes.data();
  for (size_t i = 0; i < frames; ++i) {
    float sum = 0;
    for (size_t c = 0; c < channels; ++c, p += width) sum += sample_at(p, info);
    out[i] = sum / static_cast<float>(channels);
    if (!std::isfinite(out[i])) return invalid_data(file.path(), ": frame ", i, " is NaN or Inf");
  }
  std::fill(out.begin() + static_cast<std::ptrdiff_t>(frames), out.end(), 0.f);
  return {};
}

}  // namespace ew::train
