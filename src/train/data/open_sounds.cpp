// A folder of WAV files by class.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "train/data/folder_source.h"
#include "train/data/formats.h"
#include "train/data/wav.h"

namespace ew::train {
namespace {

constexpr int64_t kMaxSamples = int64_t{1} << 27;  // 46 minutes at 48 kHz

Result<double> parse_seconds(const SpecOptions& spec) {
  EW_TRY_VOID(spec.allow({"seconds"}));
  const std::string* text = spec.find("seconds");
  if (text == nullptr) return 0.0;
  double seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (error != std::errc{} || end != text->data() + text->size() ||
      !(seconds > 0 && seconds <= 3600)) {
    return invalid_argument("data option seconds: expected a number in (0, 3600], found '", *text,
                            "'");
  }
  return seconds;
}

struct CommonSound {
  int64_t sample_rate = 0;
  int64_t longest = 0;
};

Result<CommonSound> common_sound(const ClassFolders& folders) {
  CommonSound common;
  std::string first;
  for (const ClassFile* entry : folders.all()) {
    EW_TRY(const ByteFile file, ByteFile::open(entry->path));
    EW_TRY(const WavInfo info, wav_info(file));
    if (first.empty()) {
      first = entry->path;
      common.sample_rate = info.sample_rate;
    } else if (info.sample_rate != common.sample_rate) {
      return invalid_data(entry->path, ": has ", info.sample_rate, " samples a second, ", first,
                          " has ", common.sample_rate, "; resample the files to one rate");
    }
    common.longest = std::max(common.longest, info.frames);
  }
  return common;
}

Status decode_file(const std::string& path, int64_t samples, void* out) {
  EW_TRY(const ByteFile file, ByteFile::open(path));
  EW_TRY(const WavInfo info, wav_info(file));
  return read_wav_mono(file, info,
                       std::span(static_cast<float*>(out), static_cast<size_t>(samples)));
}

}  // namespace

Result<Parts> open_wav_folder(const std::string& path, const SpecOptions& spec,
                              const DatasetOptions& options) {
  EW_TRY(const double seconds, parse_seconds(spec));
  EW_TRY(ClassFolders folders, list_class_folders(path, {".wav"}, options.seed));
  EW_TRY(const CommonSound common, common_sound(folders));
  const double wanted = std::round(seconds * static_cast<double>(common.sample_rate));
  const double samples = seconds > 0 ? wanted : static_cast<double>(common.longest);
  if (samples < 1) return invalid_data(path, ": the sounds have no samples");
  if (samples > static_cast<double>(kMaxSamples)) {
    return make_error(ErrorCode::kResourceLimit, path, ": ", samples,
                      " samples a sound, above the limit of ", kMaxSamples,
                      "; crop with ?seconds=S");
  }
  const auto count = static_cast<int64_t>(samples);
  const FileDecoder decoder{Shape{count}, DType::kF32, [count](const std::string& file, void* out) {
                              return decode_file(file, count, out);
                            }};
  Parts parts = folder_parts(std::move(folders), decoder, options.memory_bytes);
  parts.preprocessing.set("kind", "audio");
  parts.preprocessing.set("sample_rate", common.sample_rate);
  return parts;
}

}  // namespace ew::train
