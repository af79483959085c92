#include "formats/tflite/flatbuffer.h"

#include <doctest/doctest.h>

#include "formats/tflite/flat_writer.h"

namespace ew::formats::tflite {
namespace {

std::vector<uint8_t> sample() {
  FlatTable root;
  root.scalar(0, uint32_t{3});
  root.text(3, "name");
  FlatTable& child = root.table(1);
  child.scalar(0, int64_t{-5});
  child.scalar(1, 2.5F);
  child.list(2, std::vector<int64_t>{7, 8, 9});
  for (int8_t i = 0; i < 3; ++i) root.append(2).scalar(5, i, int8_t{-1});
  root.bytes(4, std::vector<uint8_t>(33, 6));
  return *write_flatbuffer(root, "TEST");
}

TEST_CASE("flatbuffer: what is written is read again") {
  const std::vector<uint8_t> bytes = sample();
  FlatBuffer file(bytes, 1 << 20);
  const Table root = file.root();
  CHECK(root.scalar<uint32_t>(0) == 3);
  CHECK(root.text(3) == "name");
  CHECK(root.table(1).scalar<int64_t>(0) == -5);
  CHECK(root.table(1).scalar<float>(1) == 2.5F);
  CHECK(root.table(1).list<int64_t>(2) == std::vector<int64_t>{7, 8, 9});
  REQUIRE(root.tables(2).size() == 3);
  CHECK(root.tables(2)[2].scalar<int8_t>(5) == 2);
  CHECK(root.bytes(4).size() == 33);
  CHECK(file.status().ok());
}

TEST_CASE("flatbuffer: contents of tensors are aligned to 16, wide elements to their size") {
  const std::vector<uint8_t> bytes = sample();
  FlatBuffer file(bytes, 1 << 20);
  const auto place = [&](std::span<const uint8_t> part) {
    return static_cast<size_t>(part.data() - bytes.data());
  };
  CHECK(place(file.root().bytes(4)) % 16 == 0);
  CHECK(file.root().bytes(4)[0] == 6);
}

TEST_CASE("flatbuffer: absent fields give the fallback and no error") {
  const std::vector<uint8_t> bytes = sample();
  FlatBuffer file(bytes, 1 << 20);
  const Table root = file.root();
  CHECK(root.scalar<int32_t>(77, 9) == 9);
  CHECK_FALSE(root.table(77));
  CHECK(root.table(77).table(1).text(2).empty());
  CHECK(root.tables(77).empty());
  CHECK(file.status().ok());
}

TEST_CASE("flatbuffer: every single damaged byte is an error or another value, never a crash") {
  const std::vector<uint8_t> bytes = sample();
  int errors = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const uint8_t value : {uint8_t{0xff}, uint8_t{0x80}, uint8_t{1}}) {
      std::vector<uint8_t> damaged = bytes;
      damaged[i] = value;
      FlatBuffer file(damaged, 1 << 16);
      const Table root = file.root();
      (void)root.text(3);
      (void)root.table(1).list<int64_t>(2);
      for (const Table& t : root.tables(2)) (void)t.scalar<int8_t>(5);
      (void)root.bytes(4);
      errors += file.status().ok() ? 0 : 1;
    }
  }
  CHECK(errors > 50);
}

TEST_CASE("flatbuffer: tables that share their parts run into the budget") {
  const std::vector<uint8_t> bytes = sample();
  FlatBuffer file(bytes, 4096);
  for (int i = 0; i < 1000 && file.status().ok(); ++i) (void)file.root().bytes(4);
  REQUIRE_FALSE(file.status().ok());
  CHECK(file.status().error().code == ErrorCode::kResourceLimit);
}

}  // namespace
}  // namespace ew::formats::tflite
