#include "formats/h5_wire.h"

#include <doctest/doctest.h>

#include <cstring>

namespace ew::formats {
namespace {

constexpr H5WireLimits kLimits{.max_bytes = 1 << 20, .max_objects = 1000};

H5Group sample() {
  H5Group root;
  root.set_attribute("version", H5Value::string("1"));
  root.set_attribute("none", H5Value::string_list({}));
  const std::vector<float> values = {1, 2, 3};
  H5Dataset& d = root.set_dataset("a/b/k", H5Value::array<float>(values));
  d.attributes.push_back({"scale", H5Value::scalar(0.5)});
  root.set_dataset("a/names", H5Value::string_list({"x", "", "yz"}));
  root.set_dataset("a/flag", H5Value::scalar(true));
  return root;
}

std::vector<uint8_t> encode(const H5Group& root) {
  std::vector<uint8_t> out;
  const Status status = write_h5_wire(root, [&](std::span<const uint8_t> bytes) -> Status {
    out.insert(out.end(), bytes.begin(), bytes.end());
    return {};
  });
  CHECK(status.ok());
  return out;
}

Result<H5Group> decode(std::span<const uint8_t> stream, const H5WireLimits& limits = kLimits) {
  return read_h5_wire(
      [&](std::span<uint8_t> target) -> Status {
        if (target.size() > stream.size()) return make_error(ErrorCode::kIo, "the end");
        std::memcpy(target.data(), stream.data(), target.size());
        stream = stream.subspan(target.size());
        return {};
      },
      limits);
}

}  // namespace

TEST_CASE("h5_wire: a tree arrives as it was sent") {
  CHECK(decode(encode(sample())).value() == sample());
}

TEST_CASE("h5_wire: large datasets pass the buffer by") {
  H5Group root;
  const std::vector<int32_t> values(100000, 42);
  root.set_dataset("d", H5Value::array<int32_t>(values));
  CHECK(decode(encode(root)).value() == root);
}

TEST_CASE("h5_wire: the sender's error arrives with its code") {
  std::vector<uint8_t> stream;
  H5WireWriter writer([&](std::span<const uint8_t> bytes) -> Status {
    stream.insert(stream.end(), bytes.begin(), bytes.end());
    return {};
  });
  REQUIRE(writer.begin_group("").ok());
  REQUIRE(writer.error(unsupported("because")).ok());
  const auto tree = decode(stream);
  CHECK(tree.error().code == ErrorCode::kUnsupported);
  CHECK(tree.error().message == "because");
}

TEST_CASE("h5_wire: limits hold on bytes, objects and depth") {
  const auto stream = encode(sample());
  CHECK(decode(stream, {20, 1000}).error().code == ErrorCode::kResourceLimit);
  CHECK(decode(stream, {1 << 20, 5}).error().code == ErrorCode::kResourceLimit);
  H5Group deep;
  std::string path;
  for (int i = 0; i < kMaxH5Depth; ++i) path += "/g";
  deep.make_group(path);
  CHECK(decode(encode(deep)).ok());
  deep.make_group(path + "/g");
  CHECK_FALSE(decode(encode(deep)).ok());
}

TEST_CASE("h5_wire: survives cuts and any byte changed") {
  const auto stream = encode(sample());
  for (size_t i = 0; i < stream.size(); ++i) {
    CHECK_FALSE(decode(std::span(stream).first(i)).ok());
    for (int b = 0; b < 256; ++b) {
      auto changed = stream;
      changed[i] = static_cast<uint8_t>(b);
      (void)decode(changed).ok();
    }
  }
}

}  // namespace ew::formats
