#include "agent/plugin/audio_plugin.h"

#include <alsa/asoundlib.h>

#include <cerrno>

#include "base/clock.h"

namespace ew::agent {
namespace {

constexpr int kWaitMs = 100;               // until it looks whether it is to stop
constexpr unsigned kBufferUs = 1'000'000;  // what may wait in the device
constexpr unsigned kPeriodUs = 20'000;     // between two of its interrupts

/// The reasons come as codes; what it writes to standard error is for its developers.
void be_silent(const char* /*file*/, int /*line*/, const char* /*function*/, int /*code*/,
               const char* /*format*/, ...) {}

struct Close {
  void operator()(snd_pcm_t* p) const { snd_pcm_close(p); }
};

class Reader final : public AudioReader {
 public:
  Status open(const AudioAddress& address) {
    address_ = address;
    snd_pcm_t* made = nullptr;
    const int opened =
        snd_pcm_open(&made, address.device.c_str(), SND_PCM_STREAM_CAPTURE, SND_PCM_NONBLOCK);
    if (opened < 0) return failed("cannot open it", opened);
    pcm_.reset(made);
    EW_TRY_VOID(configure());
    return begin();
  }

  Result<AudioRead> read(std::span<int16_t> out) override {
    const int64_t deadline_us = steady_clock_us() + address_.timeout_us;
    AudioRead done;
    for (;;) {
      const snd_pcm_sframes_t got = snd_pcm_readi(pcm_.get(), out.data(), out.size());
      if (got > 0) {
        done.samples = static_cast<size_t>(got);
        return done;
      }
      if (got == -EPIPE) {
        done.is_overrun = true;
        EW_TRY_VOID(begin());
      } else if (got == -ESTRPIPE) {
        EW_TRY_VOID(wake_up());
        done.is_overrun = true;
      } else if (got != 0 && got != -EAGAIN && got != -EINTR) {
        return failed("cannot read on", static_cast<int>(got));
      }
      if (address_.is_stopping && address_.is_stopping()) return done;
      if (steady_clock_us() > deadline_us) {
        return make_error(ErrorCode::kIo, address_.device, ": no sound came for ",
                          address_.timeout_us / 1000, " ms");
      }
      // Errors of the wait come again from the next read.
      snd_pcm_wait(pcm_.get(), kWaitMs);
    }
  }

  std::string summary() const override { return str(address_.device, ", ", address_.rate, " Hz"); }

 private:
  Status configure() {
    snd_pcm_hw_params_t* wanted = nullptr;
    snd_pcm_hw_params_alloca(&wanted);
    snd_pcm_t* pcm = pcm_.get();
    int code = snd_pcm_hw_params_any(pcm, wanted);
    if (code < 0) return failed("cannot configure it", code);
    code = snd_pcm_hw_params_set_access(pcm, wanted, SND_PCM_ACCESS_RW_INTERLEAVED);
    if (code < 0) return failed("it gives no interleaved samples", code);
    code = snd_pcm_hw_params_set_format(pcm, wanted, SND_PCM_FORMAT_S16);
    if (code < 0) return failed("it gives no samples of 16 bits (plughw converts)", code);
    code = snd_pcm_hw_params_set_channels(pcm, wanted, 1);
    if (code < 0) return failed("it does not give one channel (plughw converts)", code);
    code = snd_pcm_hw_params_set_rate(pcm, wanted, static_cast<unsigned>(address_.rate), 0);
    if (code < 0) {
      return failed(str("it does not give ", address_.rate, " Hz (plughw converts)"), code);
    }
    unsigned buffer_us = kBufferUs;
    unsigned period_us = kPeriodUs;
    // Wishes: a device has its own limits.
    snd_pcm_hw_params_set_buffer_time_near(pcm, wanted, &buffer_us, nullptr);
    snd_pcm_hw_params_set_period_time_near(pcm, wanted, &period_us, nullptr);
    code = snd_pcm_hw_params(pcm, wanted);
    return code < 0 ? failed("cannot configure it", code) : Status();
  }

  Status begin() {
    int code = snd_pcm_prepare(pcm_.get());
    if (code >= 0) code = snd_pcm_start(pcm_.get());
    return code < 0 ? failed("cannot start it", code) : Status();
  }

  /// After a sleep of the machine.
  Status wake_up() {
    const int code = snd_pcm_resume(pcm_.get());
    return code == 0 || code == -EAGAIN ? Status() : begin();
  }

  Error failed(const std::string& what, int code) const {
    const ErrorCode kind =
        code == -ENOENT || code == -ENODEV ? ErrorCode::kNotFound : ErrorCode::kIo;
    return make_error(kind, address_.device, ": ", what, ": ", snd_strerror(code));
  }

  AudioAddress address_;
  std::unique_ptr<snd_pcm_t, Close> pcm_;
};

Result<std::unique_ptr<AudioReader>> open_reader(const AudioAddress& address) {
  snd_lib_error_set_handler(be_silent);
  auto reader = std::make_unique<Reader>();
  EW_TRY_VOID(reader->open(address));
  return std::unique_ptr<AudioReader>(std::move(reader));
}

}  // namespace
}  // namespace ew::agent

extern "C" __attribute__((visibility("default")))
const ew::agent::AudioPlugin edgewise_audio_plugin;
const ew::agent::AudioPlugin edgewise_audio_plugin = {ew::agent::kAudioPluginVersion,
                                                      ew::agent::open_reader};
