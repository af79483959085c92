#include "agent/signal_file.h"

#include <doctest/doctest.h>

#include <cmath>

#include "base/file.h"
#include "testing/temporary_folder.h"

namespace ew::agent {
namespace {

using testing::TemporaryFolder;
using Bytes = std::vector<uint8_t>;

std::vector<float> read_all(SignalFile& file) {
  std::vector<float> out(static_cast<size_t>(file.frames()) * file.channels().size());
  const Status status = file.read(0, out);
  REQUIRE_MESSAGE(status.ok(), (status.ok() ? "" : status.error().message));
  return out;
}

struct Record {
  TemporaryFolder folder;
  std::string header;
  Record(const std::string& text, const Bytes& samples) {
    header = folder.path() + "/r.hea";
    REQUIRE(write_file_atomic(header, Bytes(text.begin(), text.end())).ok());
    REQUIRE(write_file_atomic(folder.path() + "/r.dat", samples).ok());
  }
  std::unique_ptr<SignalFile> open() const {
    auto file = SignalFile::open(header);
    REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : file.error().message));
    return std::move(*file);
  }
  std::string error() const {
    const auto file = SignalFile::open(header);
    REQUIRE_FALSE(file.ok());
    return file.error().message;
  }
};

}  // namespace

TEST_CASE("WFDB: format 212 holds two samples of 12 bits in three bytes, in physical units") {
  // signal(5): byte 0 is the low byte of the first sample, the low half of byte 1 its high bits,
  // the high half of byte 1 the high bits of the second, byte 2 its low byte. Frame 0: 0x401 =
  // 1025, 0xFFF = -1. Frame 1: 0x400 = 1024, 0x800 = -2048: no sample.
  const Record record("r 2 360 2\nr.dat 212 200 11 1024 0 0 0 MLII\nr.dat 212 100(10)/mV 11 0\n",
                      {0x01, 0xF4, 0xFF, 0x00, 0x84, 0x00});
  const auto file = record.open();
  CHECK(file->rate_hz() == 360);
  CHECK(file->frames() == 2);
  CHECK(file->start_us() == SignalFile::kNoStart);
  CHECK(file->channels() == std::vector<std::string>{"MLII", "channel 2"});
  const std::vector<float> values = read_all(*file);
  CHECK(values[0] == doctest::Approx(1.0 / 200));
  CHECK(values[1] == doctest::Approx(-11.0 / 100));
  CHECK(values[2] == 0);
  CHECK(std::isnan(values[3]));
}

TEST_CASE("WFDB: several samples per frame are averaged, a skewed signal is shifted back") {
  // Format 16, frames of 2 + 1 samples: (2, 4, 10), (6, 8, 20), (1, 1, 30). The third signal is
  // recorded one frame late.
  const Record record(
      "r 2 100/1000(0) 3 12:30:00.5 02/01/1970\nr.dat 16x2 1(0)/mV\nr.dat 16:1 10(0)\n",
      {2, 0, 4, 0, 10, 0, 6, 0, 8, 0, 20, 0, 1, 0, 1, 0, 30, 0});
  const auto file = record.open();
  CHECK(file->start_us() == (86400 + 12 * 3600 + 30 * 60) * int64_t{1'000'000} + 500'000);
  const std::vector<float> values = read_all(*file);
  CHECK(std::vector<float>(values.begin(), values.begin() + 5) ==
        std::vector<float>{3, 2, 7, 3, 1});
  CHECK(std::isnan(values[5]));
}

TEST_CASE("WFDB: any part of a record reads as it does in the whole") {
  Bytes samples;
  for (int i = 0; i < 300; ++i) samples.push_back(static_cast<uint8_t>(i * 37));
  const Record record("r 1 250\nr.dat 212 1(0)\n", samples);  // 200 samples
  const auto file = record.open();
  REQUIRE(file->frames() == 200);
  const std::vector<float> whole = read_all(*file);
  for (int64_t first = 0; first < 200; first += 7) {
    std::vector<float> part(static_cast<size_t>(std::min<int64_t>(13, 200 - first)));
    REQUIRE(file->read(first, part).ok());
    for (size_t i = 0; i < part.size(); ++i) {
      CHECK(part[i] == whole[static_cast<size_t>(first) + i]);
    }
  }
}

TEST_CASE("WFDB: what a header gets wrong is named with its line") {
  const Bytes two{1, 0, 2, 0};
  CHECK(Record("r 1 250 3\nr.dat 16 1\n", two).error().find("holds 2 frames") != std::string::npos);
  CHECK(Record("# only\nr 1 0\n", two).error().find("r.hea:2: expected a sampling rate") !=
        std::string::npos);
  CHECK(Record("r 1 250\nr.dat 311 1\n", two).error().find("signal format 311; known") !=
        std::string::npos);
  CHECK(Record("r 2 250\nr.dat 16 1\n", two).error().find("expected 2 signals, found 1") !=
        std::string::npos);
  CHECK(Record("r 1 250\n../../etc/passwd 16 1\n", two).error().find("beside the header") !=
        std::string::npos);
  CHECK(Record("r/3 1 250\n", two).error().find("segments") != std::string::npos);
  CHECK(Record("r 1 250\nr.dat 16x0 1\n", two).error().find("found '16x0'") != std::string::npos);
}

TEST_CASE("WAV: every width is scaled to one, channels stay apart") {
  // 24 bits, 2 channels, 8 kHz, one frame: 0x400000 = 0.5 and 0xC00000 = -0.5.
  const Bytes wav{'R', 'I', 'F',  'F',  42, 0,    0,    0,    'W', 'A', 'V', 'E',  'f',
                  'm', 't', ' ',  16,   0,  0,    0,    1,    0,   2,   0,   0x40, 0x1F,
                  0,   0,   0x80, 0xBB, 0,  0,    6,    0,    24,  0,   'd', 'a',  't',
                  'a', 6,   0,    0,    0,  0x00, 0x00, 0x40, 0,   0,   0xC0};
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.wav";
  REQUIRE(write_file_atomic(path, wav).ok());
  const auto file = SignalFile::open(path);
  REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : file.error().message));
  CHECK((*file)->rate_hz() == 8000);
  CHECK((*file)->channels().size() == 2);
  CHECK(read_all(**file) == std::vector<float>{0.5F, -0.5F});
}

}  // namespace ew::agent
