#include "formats/h5_writer.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <random>

#include "base/file.h"
#include "formats/h5_reader.h"
#include "testing/temporary_folder.h"

namespace ew::formats {
namespace {

H5Group read_back(const std::vector<uint8_t>& bytes) {
  auto tree = read_h5(bytes, "written.h5");
  REQUIRE_MESSAGE(tree.ok(), tree.error().message);
  return std::move(*tree);
}

/// Names in order, as the reader gives them.
H5Group sample() {
  H5Group root;
  root.set_attribute("backend", H5Value::string("tensorflow"));
  root.set_attribute("layer_names", H5Value::string_list({"conv", "d\xc3\xa9nse", ""}));
  root.set_attribute("model_config", H5Value::string(std::string(200000, '{')));
  root.set_attribute("weight_names", H5Value::string_list({}));
  for (int d = 0; d <= static_cast<int>(DType::kBool); ++d) {
    const auto dtype = static_cast<DType>(d);
    for (const Shape& shape : {Shape{}, Shape{3}, Shape{0, 2}, Shape{2, 3, 1, 2}}) {
      const auto count = static_cast<size_t>(shape.num_elements());
      std::vector<uint8_t> bytes(count * dtype_size(dtype), 1);
      root.set_dataset(str("types/", static_cast<char>('a' + d), "/rank", shape.rank()),
                       H5Value::numbers(dtype, shape, bytes));
    }
  }
  H5Dataset& d = root.set_dataset("types/a/z", H5Value::string_list({"x", "y"}));
  d.attributes.push_back({"flag", H5Value::scalar(true)});
  d.attributes.push_back({"scale", H5Value::scalar(0.5f)});
  return root;
}

/// A dataset of `bytes` bytes; `zeros` of 10 elements are 0.
H5Group weights(int64_t elements, int zeros) {
  std::mt19937 random(1);
  std::vector<float> values;
  for (int64_t i = 0; i < elements; ++i) {
    const auto draw = static_cast<float>(random());
    values.push_back(static_cast<int>(random() % 10) < zeros ? 0.0f : draw);
  }
  H5Group root;
  H5Value value = H5Value::array<float>(values);
  value.shape = Shape({10, elements / 10});
  root.set_dataset("w", std::move(value));
  return root;
}

}  // namespace

TEST_CASE("h5_writer: every type of content survives writing and reading") {
  CHECK(read_back(write_h5_bytes(sample()).value()) == sample());
}

TEST_CASE("h5_writer: rewriting a file of Keras keeps all it holds") {
  for (const char* name : {"h5/unicode_name/model.k3.h5", "h5/layer_names_chunked/model.k2.h5",
                           "fit/fit_plain_k2/base_model.k2.h5"}) {
    CAPTURE(name);
    const auto tree = read_h5(str(EW_SOURCE_DIR "/tests/oracle/fixtures/", name));
    REQUIRE_MESSAGE(tree.ok(), tree.error().message);
    CHECK(read_back(write_h5_bytes(*tree).value()) == *tree);
  }
}

TEST_CASE("h5_writer: writes superblock 0, and equal trees give equal bytes") {
  const auto bytes = write_h5_bytes(sample()).value();
  CHECK(bytes[8] == 0);   // superblock version
  CHECK(bytes[13] == 8);  // size of offsets
  CHECK(bytes == write_h5_bytes(sample()).value());
}

TEST_CASE("h5_writer: a file holds the same as the bytes, and nothing else is left behind") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path("model.h5");
  REQUIRE(write_h5(path, sample()).ok());
  CHECK(read_h5(path).value() == sample());
  REQUIRE(write_h5(path, weights(100, 0)).ok());  // replaces
  CHECK(read_h5(path).value() == weights(100, 0));
  CHECK(list_directory(folder.path()).value() == std::vector<std::string>{"model.h5"});
}

TEST_CASE("h5_writer: compresses what shrinks and leaves the rest as it is") {
  const H5WriteOptions gzip{.gzip_level = 6};
  const H5Group sparse = weights(10000, 8);
  const auto plain = write_h5_bytes(sparse).value();
  const auto packed = write_h5_bytes(sparse, gzip).value();
  CHECK(packed.size() < plain.size() / 2);
  CHECK(read_back(packed) == sparse);
  const H5Group small = weights(500, 10);  // below the least size
  CHECK(write_h5_bytes(small, gzip).value() == write_h5_bytes(small).value());
  std::vector<uint8_t> noise(20000);
  std::mt19937 random(2);
  for (uint8_t& b : noise) b = static_cast<uint8_t>(random());
  H5Group dense;
  dense.set_dataset("d", H5Value::numbers(DType::kU8, {20000}, noise));
  CHECK(write_h5_bytes(dense, gzip).value() == write_h5_bytes(dense).value());
  CHECK_FALSE(write_h5_bytes(dense, {.gzip_level = 10}).ok());
}

TEST_CASE("h5_writer: refuses trees that HDF5 cannot hold and says where") {
  const auto refusal = [](const H5Group& root) {
    const auto bytes = write_h5_bytes(root);
    REQUIRE_FALSE(bytes.ok());
    CHECK(bytes.error().code == ErrorCode::kInvalidArgument);
    return bytes.error().message;
  };
  H5Group root;
  root.make_group("g").groups.push_back({.name = "a/b"});
  CHECK(refusal(root) == "/g/a/b: a name must not be empty or '.' or contain '/'");
  root = {};
  root.make_group("g");
  root.set_dataset("g", H5Value::scalar(1.0));
  CHECK(refusal(root) == "/g: this name is there twice");
  root = {};
  root.set_dataset("d", H5Value::numbers(DType::kF32, {2}, {}));
  CHECK(refusal(root) == "/d: content does not fit shape (2,)");
  root = {};
  root.set_attribute("names", H5Value::string_list(std::vector<std::string>(5000, "x")));
  CHECK(refusal(root).starts_with("@names: 80000 bytes, above the 64512"));
  root = {};
  root.set_attribute("s", H5Value::string(std::string("a\0b", 3)));
  CHECK(refusal(root).find("zero byte") != std::string::npos);
}

TEST_CASE("h5_writer: a folder that is not there is an error with the path, and leaves nothing") {
  const auto status = write_h5("/nonexistent/model.h5", sample());
  CHECK(status.error().code == ErrorCode::kIo);
  CHECK(status.error().message.starts_with("/nonexistent/model.h5: "));
}

TEST_CASE("h5_writer: a full disk is an error, and the old file stays") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path("model.h5");
  REQUIRE(write_h5(path, weights(100, 0)).ok());
  REQUIRE(::symlink("/dev/full", temporary_name(path).c_str()) == 0);
  const auto status = write_h5(path, sample());
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().code == ErrorCode::kIo);
  CHECK(status.error().message.find("No space left") != std::string::npos);
  CHECK(read_h5(path).value() == weights(100, 0));
  CHECK(list_directory(folder.path()).value() == std::vector<std::string>{"model.h5"});
  CHECK(write_h5(path, sample()).ok());
}

}  // namespace ew::formats
