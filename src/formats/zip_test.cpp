#include "formats/zip.h"

#include <doctest/doctest.h>

#include <cstring>

#include "base/file.h"

namespace ew::formats {
namespace {

std::vector<uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

std::vector<uint8_t> sample() {
  const auto a = bytes_of("hello");
  const std::vector<uint8_t> b(1000, 7);
  const std::vector<ZipInput> members = {{"a.txt", a}, {"dir/b", b}, {"\xc3\xa9", {}}};
  return write_zip(members).value();
}

template <typename T>
void put(std::vector<uint8_t>& bytes, size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
}

size_t directory_of(const std::vector<uint8_t>& zip) {
  uint32_t offset;
  std::memcpy(&offset, zip.data() + zip.size() - 6, 4);
  return offset;
}

}  // namespace

TEST_CASE("zip: a written archive reads back, and equal inputs give equal bytes") {
  const auto bytes = sample();
  CHECK(bytes == sample());
  const ZipView zip = ZipView::open(bytes).value();
  REQUIRE(zip.members().size() == 3);
  CHECK(zip.members()[1].name == "dir/b");
  CHECK(zip.read("a.txt").value() == bytes_of("hello"));
  CHECK(zip.read("dir/b").value() == std::vector<uint8_t>(1000, 7));
  CHECK(zip.read("\xc3\xa9").value().empty());
  CHECK(zip.read("none").error().message ==
        "expected a ZIP member 'none', found a.txt, dir/b, \xc3\xa9");
  CHECK(ZipView::open(write_zip({}).value()).value().members().empty());
}

TEST_CASE("zip: reads both generations' .keras archives") {
  for (const char* name : {"simplernn", "conv3d_same", "bn_noaffine"}) {
    const auto bytes =
        read_file(str(EW_SOURCE_DIR "/tests/oracle/fixtures/layers/", name, "/model.keras"))
            .value();
    const ZipView zip = ZipView::open(bytes).value();
    CHECK(zip.read("config.json").ok());
    CHECK(zip.read("metadata.json").ok());
    CHECK(zip.read("model.weights.h5").value().size() > 1000);
  }
}

TEST_CASE("zip: reads deflated members and finds any damage in them") {
  auto bytes = read_file(EW_SOURCE_DIR "/tests/data/npy/z.npz").value();
  const ZipView zip = ZipView::open(bytes).value();
  REQUIRE(zip.members().size() == 2);
  CHECK(zip.members()[0].method == 8);
  CHECK(zip.read(zip.members()[0]).ok());
  bytes[zip.members()[0].data_offset + 20] ^= 1;
  CHECK(zip.read(zip.members()[0]).error().code == ErrorCode::kInvalidData);
}

TEST_CASE("zip: refuses equal or empty names") {
  const std::vector<ZipInput> twice = {{"a", {}}, {"a", {}}};
  CHECK(write_zip(twice).error().code == ErrorCode::kInvalidArgument);
  const std::vector<ZipInput> empty = {{"", {}}};
  CHECK_FALSE(write_zip(empty).ok());
}

TEST_CASE("zip: refuses bombs: overlapping members, impossible ratios, sizes above the limits") {
  const auto good = sample();
  const size_t directory = directory_of(good);
  const size_t second = directory + 46 + 5;  // behind "a.txt"

  auto overlap = good;  // the first member's packed bytes reach into the second
  put<uint32_t>(overlap, directory + 20, 50);
  put<uint32_t>(overlap, directory + 24, 50);
  CHECK(ZipView::open(overlap).error().message.find("overlap") != std::string::npos);

  auto ratio = good;
  put<uint16_t>(ratio, directory + 10, 8);
  put<uint32_t>(ratio, directory + 24, 0x7fffffff);
  CHECK(ZipView::open(ratio).error().message.find("cannot unpack") != std::string::npos);

  CHECK(ZipView::open(good, {.max_member_bytes = 999}).error().code == ErrorCode::kResourceLimit);
  CHECK(ZipView::open(good, {.max_total_bytes = 1004}).error().code == ErrorCode::kResourceLimit);
  CHECK(ZipView::open(good, {.max_members = 2}).error().code == ErrorCode::kResourceLimit);

  auto encrypted = good;
  put<uint16_t>(encrypted, second + 8, 1);
  CHECK(ZipView::open(encrypted).error().code == ErrorCode::kUnsupported);
  auto method = good;
  put<uint16_t>(method, second + 10, 12);
  CHECK(ZipView::open(method).error().code == ErrorCode::kUnsupported);
  auto zip64 = good;
  put<uint16_t>(zip64, good.size() - 12, 0xFFFF);
  CHECK(ZipView::open(zip64).error().code == ErrorCode::kUnsupported);
}

TEST_CASE("zip: survives cuts and any byte changed") {
  const auto good = sample();
  for (size_t i = 0; i < good.size(); ++i) {
    CHECK_FALSE(ZipView::open(std::span(good).first(i)).ok());
  }
  for (size_t i = 0; i < good.size(); ++i) {
    for (const int mask : {0x01, 0x80, 0xff}) {
      auto changed = good;
      changed[i] = static_cast<uint8_t>(changed[i] ^ mask);
      const auto zip = ZipView::open(changed);
      if (!zip.ok()) continue;
      for (const ZipMember& m : zip->members()) {
        if (const auto content = zip->read(m); content.ok()) CHECK(content->size() == m.size);
      }
    }
  }
}

}  // namespace ew::formats
