// WAV files.
#include "train/data/wav.h"

#include <algorithm>

#include "targets.h"

namespace ew::fuzz {

void wav(Bytes bytes) {
  const train::ByteFile file =
      train::ByteFile::from_bytes("fuzz.wav", {bytes.begin(), bytes.end()});
  const Result<train::WavInfo> info = train::wav_info(file);
  if (!info.ok()) return;
  require(info->frames >= 0 && info->frames <= file.size(), "frames lie in the file");
  std::vector<float> samples(static_cast<size_t>(std::min<int64_t>(info->frames + 8, 1 << 16)));
  (void)train::read_wav_mono(file, *info, samples);
}

}  // namespace ew::fuzz
