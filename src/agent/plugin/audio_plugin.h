#pragma once
// The interface of libedgewise_audio.so, which holds libasound: one constant table. Both sides are
// built from one tree.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace ew::agent {

inline constexpr uint32_t kAudioPluginVersion = 1;
inline constexpr const char* kAudioPluginSymbol = "edgewise_audio_plugin";

struct AudioAddress {
  std::string device;  ///< an ALSA PCM: "default", "plughw:1,0", or a name of asound.conf
  int rate = 16000;    ///< samples a second
  int64_t timeout_us = 10'000'000;    ///< without a sample for so long it counts as away
  std::function<bool()> is_stopping;  ///< asked while it waits; true ends what runs with an error
};

struct AudioRead {
  size_t samples = 0;       ///< written to `out`, at most its size; may be 0
  bool is_overrun = false;  ///< samples before these were lost: they were not read in time
};

/// A microphone that is open: one channel, 16 bits. Blocks; one thread at a time. Errors: kIo
/// (gone, timed out, busy).
class AudioReader {
 public:
  virtual ~AudioReader() = default;
  virtual Result<AudioRead> read(std::span<int16_t> out) = 0;
  /// "plughw:1,0, 16000 Hz".
  virtual std::string summary() const = 0;
};

struct AudioPlugin {
  uint32_t version;
  Result<std::unique_ptr<AudioReader>> (*open)(const AudioAddress& address);
};

/// Loads the plug-in on first use. Errors: as load_plugin().
Result<const AudioPlugin*> audio();

}  // namespace ew::agent
