// WFDB records: header(5) and signal(5) of the WFDB Applications Guide.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>

#include "agent/signal_file.h"
#include "base/file.h"
#include "train/data/byte_file.h"

namespace ew::agent {
namespace {

constexpr size_t kMaxHeaderBytes = 1 << 20;
constexpr int64_t kMaxSignals = 1024;
constexpr int64_t kMaxPerFrame = 10'000;
constexpr int64_t kMaxSkew = 100'000;
constexpr double kDefaultGain = 200;  // units per physical unit, where the header says none or 0

struct Signal {
  size_t file = 0;       // index into the record's files
  int64_t position = 0;  // of its first sample within a frame of that file
  int64_t per_frame = 1;
  int64_t skew = 0;
  double gain = kDefaultGain;
  double baseline = 0;
};

struct SampleFile {
  std::string name;
  int format = 16;
  int64_t offset = 0;
  int64_t per_frame = 0;  // samples of all its signals
  train::ByteFile bytes;
};

// The number at the front of `text`, which is cut off. False: there is none.
template <typename T>
bool take_number(std::string_view& text, T& value) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> out;
  while (true) {
    const size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) return out;
    const size_t end = std::min(line.find_first_of(" \t\r", begin), line.size());
    out.push_back(line.substr(begin, end - begin));
    line.remove_prefix(end);
  }
}

bool is_known(int format) {
  for (const int known : {16, 24, 32, 61, 80, 160, 212}) {
    if (format == known) return true;
  }
  return false;
}

// Bytes that hold `samples` samples of a file from its beginning.
int64_t bytes_for(int format, int64_t samples) {
  switch (format) {
    case 80:
      return samples;
    case 212:
      return samples / 2 * 3 + samples % 2 * 2;
    case 24:
      return samples * 3;
    case 32:
      return samples * 4;
    default:
      return samples * 2;
  }
}

// The value of a format that marks a missing sample.
int32_t invalid_of(int format) {
  switch (format) {
    case 80:
      return -128;
    case 212:
      return -2048;
    case 24:
      return -(1 << 23);
    case 32:
      return std::numeric_limits<int32_t>::min();
    default:
      return -32768;
  }
}

int32_t sign_extend(uint32_t value, int bits) {
  return static_cast<int32_t>(value << (32 - bits)) >> (32 - bits);
}

// Sample `i` counted from `bytes`, which begins at an even sample.
int32_t sample_at(int format, const uint8_t* bytes, int64_t i) {
  switch (format) {
    case 80:
      return bytes[i] - 128;
    case 212: {
      const uint8_t* pair = bytes + i / 2 * 3;
      const uint32_t low = i % 2 == 0 ? pair[0] : pair[2];
      const uint32_t high = i % 2 == 0 ? pair[1] & 0x0FU : pair[1] >> 4U;
      return sign_extend(high << 8U | low, 12);
    }
    case 24: {
      const uint8_t* b = bytes + 3 * i;
      return sign_extend(uint32_t{b[0]} | uint32_t{b[1]} << 8U | uint32_t{b[2]} << 16U, 24);
    }
    case 32: {
      const uint8_t* b = bytes + 4 * i;
      return static_cast<int32_t>(uint32_t{b[0]} | uint32_t{b[1]} << 8U | uint32_t{b[2]} << 16U |
                                  uint32_t{b[3]} << 24U);
    }
    case 61:
      return sign_extend(uint32_t{bytes[2 * i]} << 8U | bytes[2 * i + 1], 16);
    case 160:
      return static_cast<int32_t>(bytes[2 * i] | uint32_t{bytes[2 * i + 1]} << 8U) - 32768;
    default:
      return sign_extend(bytes[2 * i] | uint32_t{bytes[2 * i + 1]} << 8U, 16);
  }
}

// Days from 1970-01-01 to a date of the Gregorian calendar (H. Hinnant, "chrono-compatible
// low-level date algorithms").
int64_t days_of(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t of_era = year - era * 400;
  const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

class WfdbRecord final : public SignalFile {
 public:
  Status open(const std::string& path) {
    path_ = path;
    EW_TRY(const std::vector<uint8_t> bytes, read_file(path));
    if (bytes.size() > kMaxHeaderBytes) {
      return make_error(ErrorCode::kResourceLimit, path, ": a header of ", bytes.size(),
                        " bytes, above the limit of ", kMaxHeaderBytes);
    }
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    for (const std::string& line : split(text, '\n')) {
      ++line_;
      const std::vector<std::string_view> fields = fields_of(line);
      if (fields.empty() || fields[0].starts_with('#')) continue;
      if (signal_count_ < 0) {
        EW_TRY_VOID(read_record_line(fields));
      } else if (static_cast<int64_t>(signals_.size()) < signal_count_) {
        EW_TRY_VOID(read_signal_line(fields));
      }
    }
    if (signal_count_ <= 0 || static_cast<int64_t>(signals_.size()) != signal_count_) {
      return invalid_data(path, ": expected ", std::max<int64_t>(signal_count_, 1),
                          " signals, found ", signals_.size());
    }
    return open_files();
  }

  Status read(int64_t first, std::span<float> out) override {
    const size_t width = signals_.size();
    const auto count = static_cast<int64_t>(out.size() / width);
    for (size_t f = 0; f < files_.size(); ++f) EW_TRY_VOID(load(f, first, count));
    for (size_t s = 0; s < width; ++s) {
      for (int64_t i = 0; i < count; ++i) {
        out[static_cast<size_t>(i) * width + s] = value(signals_[s], first + i);
      }
    }
    return {};
  }

 private:
  Error wrong(const std::string& what) const { return invalid_data(path_, ":", line_, ": ", what); }

  // NAME[/SEGMENTS] SIGNALS [RATE[/COUNTER[(BASE)]] [FRAMES [TIME [DATE]]]]
  Status read_record_line(const std::vector<std::string_view>& fields) {
    if (fields[0].find('/') != std::string_view::npos) {
      return unsupported(path_, ":", line_, ": a record of several segments; read each by itself");
    }
    std::string_view count = fields.size() > 1 ? fields[1] : "";
    if (!take_number(count, signal_count_) || signal_count_ < 1 || signal_count_ > kMaxSignals) {
      return wrong(str("expected 1 to ", kMaxSignals, " signals"));
    }
    rate_hz_ = 250;  // of the specification, where nothing is said
    if (fields.size() > 2) {
      std::string_view rate = fields[2];
      if (!take_number(rate, rate_hz_) || !(rate_hz_ > 0) || rate_hz_ > 1e9) {
        return wrong("expected a sampling rate above 0");
      }
    }
    if (fields.size() > 3) {
      std::string_view frames = fields[3];
      if (!take_number(frames, frames_) || frames_ < 0) return wrong("expected a number of frames");
    }
    if (fields.size() > 5) read_start(fields[4], fields[5]);
    return {};
  }

  // HH:MM:SS[.fraction] and DD/MM/YYYY; anything else is no start.
  void read_start(std::string_view time, std::string_view date) {
    int64_t hour = 0, minute = 0, day = 0, month = 0, year = 0;
    double second = 0;
    const bool is_good = take_number(time, hour) && take(time, ':') && take_number(time, minute) &&
                         take(time, ':') && take_number(time, second) && take_number(date, day) &&
                         take(date, '/') && take_number(date, month) && take(date, '/') &&
                         take_number(date, year) && month >= 1 && month <= 12 && year > 0 &&
                         year < 10000 && day >= 1 && day <= 31 && second >= 0 && second < 61 &&
                         hour >= 0 && hour < 25 && minute >= 0 && minute < 60;
    if (!is_good) return;
    const int64_t seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60;
    start_us_ = seconds * 1'000'000 + std::llround(second * 1e6);
  }

  // FILE FORMAT[xPER_FRAME][:SKEW][+OFFSET] [GAIN[(BASELINE)][/UNITS] [BITS [ZERO [INITIAL
  // [CHECKSUM [BLOCK [DESCRIPTION]]]]]]]
  Status read_signal_line(const std::vector<std::string_view>& fields) {
    if (fields.size() < 2) return wrong("expected a file and a format");
    Signal signal;
    int format = 0;
    int64_t offset = 0;
    std::string_view text = fields[1];
    bool is_good = take_number(text, format);
    if (take(text, 'x')) is_good = is_good && take_number(text, signal.per_frame);
    if (take(text, ':')) is_good = is_good && take_number(text, signal.skew);
    if (text.starts_with('+')) is_good = is_good && take_number(text, offset);
    if (!is_good || !text.empty() || signal.per_frame < 1 || signal.per_frame > kMaxPerFrame ||
        signal.skew < 0 || signal.skew > kMaxSkew || offset < 0) {
      return wrong(str("expected FORMAT[xSAMPLES][:SKEW][+OFFSET], found '", fields[1], "'"));
    }
    if (!is_known(format)) {
      return unsupported(path_, ":", line_, ": signal format ", format,
                         "; known: 16, 24, 32, 61, 80, 160, 212");
    }
    EW_TRY_VOID(read_scaling(fields, signal));
    EW_TRY_VOID(add_to_file(std::string(fields[0]), format, offset, signal));
    add_channel(fields);
    signals_.push_back(signal);
    return {};
  }

  Status read_scaling(const std::vector<std::string_view>& fields, Signal& signal) {
    if (fields.size() > 4) {
      std::string_view zero = fields[4];
      if (!take_number(zero, signal.baseline)) return wrong("expected the ADC's zero");
    }
    if (fields.size() < 3) return {};
    std::string_view gain = fields[2];
    if (!take_number(gain, signal.gain)) return wrong("expected a gain");
    if (take(gain, '(')) {
      if (!take_number(gain, signal.baseline) || !take(gain, ')')) {
        return wrong("expected GAIN(BASELINE)");
      }
    }
    if (signal.gain == 0 || !std::isfinite(signal.gain)) signal.gain = kDefaultGain;
    return {};
  }

  // Signals of one file stand in a row.
  Status add_to_file(const std::string& name, int format, int64_t offset, Signal& signal) {
    if (name.find('/') != std::string::npos || name == "-" || name.starts_with('~')) {
      return wrong(str("expected the name of a file beside the header, found '", name, "'"));
    }
    if (files_.empty() || names_.back() != name) {
      if (std::find(names_.begin(), names_.end(), name) != names_.end()) {
        return wrong(str("the signals of ", name, " do not stand together"));
      }
      names_.push_back(name);
      files_.push_back({name, format, offset, 0, train::ByteFile::from_bytes(name, {})});
    }
    SampleFile& file = files_.back();
    if (file.format != format) return wrong(str(name, " has two formats"));
    signal.file = files_.size() - 1;
    signal.position = file.per_frame;
    file.per_frame += signal.per_frame;
    return {};
  }

  void add_channel(const std::vector<std::string_view>& fields) {
    constexpr size_t kDescription = 8;
    std::string name;
    for (size_t i = kDescription; i < fields.size(); ++i) {
      name += (name.empty() ? "" : " ") + std::string(fields[i]);
    }
    const bool is_taken = std::find(channels_.begin(), channels_.end(), name) != channels_.end();
    if (name.empty() || is_taken)
      name += str(name.empty() ? "" : " ", "channel ", channels_.size() + 1);
    channels_.push_back(name);
  }

  // The shortest file decides how many frames there are, if the header does not say.
  Status open_files() {
    const size_t slash = path_.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : path_.substr(0, slash + 1);
    int64_t least = std::numeric_limits<int64_t>::max();
    for (SampleFile& file : files_) {
      EW_TRY(file.bytes, train::ByteFile::open(folder + file.name));
      const int64_t bytes = file.bytes.size() - file.offset;
      int64_t frames = std::max<int64_t>(bytes, 0) / bytes_for(file.format, 2) * 2 / file.per_frame;
      while (bytes_for(file.format, (frames + 1) * file.per_frame) <= bytes) ++frames;
      least = std::min(least, frames);
      if (frames_ > frames) {
        return invalid_data(folder, file.name, ": holds ", frames, " frames, ", path_, " says ",
                            frames_, "; the file is cut short");
      }
    }
    if (frames_ == 0) frames_ = least;
    samples_.resize(files_.size());
    loaded_from_.resize(files_.size());
    return {};
  }

  // Frames [first, first + count) of a file and what its skewed signals need behind them.
  Status load(size_t f, int64_t first, int64_t count) {
    const SampleFile& file = files_[f];
    int64_t skew = 0;
    for (const Signal& s : signals_) skew = s.file == f ? std::max(skew, s.skew) : skew;
    const int64_t last = std::min(frames_, first + count + skew);
    const int64_t from = first * file.per_frame / 2 * 2;  // 212 stores pairs
    const int64_t to = last * file.per_frame;
    const int64_t begin = bytes_for(file.format, from);
    bytes_.resize(static_cast<size_t>(bytes_for(file.format, to) - begin));
    EW_TRY_VOID(file.bytes.read(file.offset + begin, bytes_));
    loaded_from_[f] = from;
    std::vector<int32_t>& samples = samples_[f];
    samples.resize(static_cast<size_t>(to - from));
    for (int64_t i = 0; i < to - from; ++i) {
      samples[static_cast<size_t>(i)] = sample_at(file.format, bytes_.data(), i);
    }
    return {};
  }

  float value(const Signal& s, int64_t frame) const {
    constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();
    if (frame + s.skew >= frames_) return kMissing;
    const SampleFile& file = files_[s.file];
    const int64_t at = (frame + s.skew) * file.per_frame + s.position - loaded_from_[s.file];
    double sum = 0;
    for (int64_t i = 0; i < s.per_frame; ++i) {
      const int32_t sample = samples_[s.file][static_cast<size_t>(at + i)];
      if (sample == invalid_of(file.format)) return kMissing;
      sum += sample;
    }
    return static_cast<float>((sum / static_cast<double>(s.per_frame) - s.baseline) / s.gain);
  }

  std::string path_;
  int line_ = 0;
  int64_t signal_count_ = -1;
  std::vector<Signal> signals_;
  std::vector<std::string> names_;  // of the files
  std::vector<SampleFile> files_;
  std::vector<uint8_t> bytes_;
  std::vector<std::vector<int32_t>> samples_;  // per file: what load() read
  std::vector<int64_t> loaded_from_;           // per file: the first of them
};

}  // namespace

Result<std::unique_ptr<SignalFile>> open_wfdb(const std::string& path) {
  auto record = std::make_unique<WfdbRecord>();
  EW_TRY_VOID(record->open(path));
  return std::unique_ptr<SignalFile>(std::move(record));
}

}  // namespace ew::agent
