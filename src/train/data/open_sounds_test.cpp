#include "train/data/dataset.h"
#include "train/data/test_files.h"
#include "train/data/wav.h"

namespace ew::train {
namespace {

using namespace test;

void put(Bytes& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}
void put(Bytes& out, std::string_view tag) { out.insert(out.end(), tag.begin(), tag.end()); }

struct Wav {
  unsigned format = 1;
  unsigned channels = 1;
  unsigned bits = 16;
  unsigned rate = 8000;
  Bytes data = {};
  uint64_t claimed = UINT64_MAX;  // bytes of data that the chunk claims
};

Bytes wav(const Wav& w) {
  Bytes out;
  put(out, "RIFF");
  put(out, 36 + w.data.size(), 4);
  put(out, "WAVELIST");
  put(out, 3, 4);  // an odd chunk is padded
  put(out, std::string_view("abc\0", 4));
  put(out, "fmt ");
  put(out, 16, 4);
  put(out, w.format, 2);
  put(out, w.channels, 2);
  put(out, w.rate, 4);
  put(out, w.rate * w.channels * w.bits / 8, 4);
  put(out, w.channels * w.bits / 8, 2);
  put(out, w.bits, 2);
  put(out, "data");
  put(out, w.claimed == UINT64_MAX ? w.data.size() : w.claimed, 4);
  out.insert(out.end(), w.data.begin(), w.data.end());
  return out;
}

Result<std::vector<float>> samples(const Bytes& bytes, size_t count) {
  const ByteFile file = ByteFile::from_bytes("a.wav", bytes);
  EW_TRY(const WavInfo info, wav_info(file));
  std::vector<float> out(count, 9.f);
  EW_TRY_VOID(read_wav_mono(file, info, out));
  return out;
}

}  // namespace

TEST_CASE("wav: 8, 16, 24 and 32 bits and float; zeros beyond the end") {
  using Floats = std::vector<float>;
  CHECK(samples(wav({.bits = 8, .data = {128, 0, 192}}), 4).value() == Floats{0, -1, 0.5f, 0});
  CHECK(samples(wav({.data = {0, 0x40, 0, 0x80}}), 2).value() == Floats{0.5f, -1});
  CHECK(samples(wav({.bits = 24, .data = {0, 0, 0x40, 0, 0, 0x80}}), 2).value() ==
        Floats{0.5f, -1});
  CHECK(samples(wav({.bits = 32, .data = {0, 0, 0, 0xc0}}), 1).value() == Floats{-0.5f});
  CHECK(samples(wav({.format = 3, .bits = 32, .data = {0, 0, 0xc0, 0x3f}}), 2).value() ==
        Floats{1.5f, 0});
  // Two channels, 0.5 and -1, are one of -0.25.
  CHECK(samples(wav({.channels = 2, .data = {0, 0x40, 0, 0x80}}), 2).value() == Floats{-0.25f, 0});
  // A length that a pipe did not know: to the end of the file.
  CHECK(samples(wav({.data = {0, 0x40}, .claimed = 0xffffffff}), 1).value() == Floats{0.5f});
}

TEST_CASE("wav: hostile files are errors") {
  const auto failure = [](const Wav& w) { return message(samples(wav(w), 1)); };
  CHECK(has(failure({.data = {0, 0}, .claimed = 1000}), "says 1000 bytes, 2 are left"));
  CHECK(has(failure({.format = 85}), "WAV format 85"));
  CHECK(has(failure({.bits = 12}), "12 bits"));
  CHECK(has(failure({.channels = 0}), "0 channels"));
  CHECK(has(failure({.channels = 1000}), "at most 64"));
  CHECK(has(failure({.rate = 0}), "0 Hz"));
  CHECK(has(failure({.format = 3, .bits = 32, .data = {0, 0, 0xc0, 0x7f}}), "NaN or Inf"));
  const Bytes whole = wav({.data = {1, 2, 3, 4}});
  for (size_t n = 0; n < whole.size(); ++n) {
    CHECK_FALSE(
        samples(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)), 2).ok());
  }
  Bytes no_format;
  put(no_format, "RIFF");
  put(no_format, 0, 4);
  put(no_format, "WAVEdata");
  put(no_format, 0, 4);
  CHECK(has(message(samples(no_format, 1)), "before the fmt chunk"));
  Bytes chunks(no_format.begin(), no_format.begin() + 12);
  for (int i = 0; i < 20000; ++i) {
    put(chunks, "JUNK");
    put(chunks, 0, 4);
  }
  CHECK(has(message(samples(chunks, 1)), "no data chunk"));
}

TEST_CASE("wav folder: padded to the longest, or to the seconds asked for") {
  const TempFolder folder;
  folder.write("off/a.wav", wav({.data = {0, 0x40}}));
  folder.write("on/a.wav", wav({.data = {0, 0x20, 0, 0x20, 0, 0x20}}));
  const auto longest = open_dataset(folder.path(), {.validation_split = 0});
  REQUIRE_MESSAGE(longest.ok(), message(longest));
  CHECK(longest->class_names == std::vector<std::string>{"off", "on"});
  CHECK(longest->train->x_types()[0].shape == Shape{3});
  CHECK(longest->preprocessing["sample_rate"].as_int() == 8000);
  const auto rows = read_all(*longest->train);
  REQUIRE_MESSAGE(rows.ok(), message(rows));
  const size_t off = rows->y[0].values<int32_t>()[0] == 0 ? 0 : 1;
  CHECK(rows->x[0].values<float>()[3 * off] == 0.5f);
  CHECK(rows->x[0].values<float>()[3 * off + 1] == 0);
  const auto cropped = open_dataset(folder.path() + "?seconds=0.00025", {.validation_split = 0});
  REQUIRE_MESSAGE(cropped.ok(), message(cropped));
  CHECK(cropped->train->x_types()[0].shape == Shape{2});
  CHECK(has(message(open_dataset(folder.path() + "?seconds=0")), "(0, 3600]"));
  CHECK(has(message(open_dataset(folder.path() + "?second=1")), "did you mean 'seconds'?"));
  folder.write("on/b.wav", wav({.rate = 16000, .data = {0, 0}}));
  CHECK(has(message(open_dataset(folder.path())), "resample the files"));
}

}  // namespace ew::train
