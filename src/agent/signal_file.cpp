#include "agent/signal_file.h"

#include <cstring>

#include "train/data/wav.h"

namespace ew::agent {
namespace {

class WavSignals final : public SignalFile {
 public:
  static Result<std::unique_ptr<SignalFile>> open(const std::string& path) {
    EW_TRY(train::ByteFile file, train::ByteFile::open(path));
    EW_TRY(const train::WavInfo info, train::wav_info(file));
    return std::unique_ptr<SignalFile>(new WavSignals(std::move(file), info));
  }

  Status read(int64_t first, std::span<float> out) override {
    const auto width = static_cast<size_t>(info_.bits / 8);
    bytes_.resize(out.size() * width);
    const int64_t frame_bytes = static_cast<int64_t>(width) * info_.channels;
    EW_TRY_VOID(file_.read(info_.data_offset + first * frame_bytes, bytes_));
    const uint8_t* at = bytes_.data();
    for (float& value : out) {
      value = sample(at);
      at += width;
    }
    return {};
  }

 private:
  WavSignals(train::ByteFile file, const train::WavInfo& info)
      : file_(std::move(file)), info_(info) {
    rate_hz_ = static_cast<double>(info.sample_rate);
    frames_ = info.frames;
    for (int i = 1; i <= info.channels; ++i) channels_.push_back(str("channel ", i));
  }

  float sample(const uint8_t* at) const {
    if (info_.is_float) {
      float value = 0;
      std::memcpy(&value, at, sizeof(value));
      return value;
    }
    if (info_.bits == 8) return static_cast<float>(*at - 128) / 128;
    // Little-endian integers, moved to the top of 32 bits.
    uint32_t bits = 0;
    const int width = info_.bits / 8;
    for (int i = 0; i < width; ++i) bits |= static_cast<uint32_t>(at[i]) << (32 - 8 * (width - i));
    return static_cast<float>(static_cast<int32_t>(bits)) * 0x1p-31F;
  }

  train::ByteFile file_;
  train::WavInfo info_;
  std::vector<uint8_t> bytes_;
};

}  // namespace

Result<std::unique_ptr<SignalFile>> SignalFile::open(const std::string& path) {
  if (path.ends_with(".hea")) return open_wfdb(path);
  if (path.ends_with(".wav")) return WavSignals::open(path);
  return unsupported(path, ": expected a WFDB header (.hea) or a .wav file");
}

}  // namespace ew::agent
