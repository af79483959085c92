#include "base/npy.h"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "base/file.h"

namespace ew {
namespace {

std::vector<uint8_t> file(const std::string& header, const std::string& data, int version = 1) {
  std::string text = "\x93NUMPY";
  text += static_cast<char>(version);
  text += '\0';
  const size_t n = header.size();
  for (size_t i = 0; i < (version == 1 ? 2u : 4u); ++i) text += static_cast<char>(n >> (8 * i));
  text += header + data;
  return {text.begin(), text.end()};
}

std::string dict(const std::string& descr, const std::string& order, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

template <typename T>
std::vector<T> elements(const NpyArray& array) {
  std::vector<T> out(array.bytes.size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), array.bytes.data(), array.bytes.size());
  return out;
}

std::string message(const std::vector<uint8_t>& bytes) {
  const auto array = parse_npy(bytes);
  return array.ok() ? "ok" : array.error().message;
}

}  // namespace

TEST_CASE("npy: reads what NumPy wrote: every version, Fortran order, big-endian") {
  for (const char* name : {"v1", "v2", "v3", "fortran", "big"}) {
    CAPTURE(name);
    const auto bytes = read_file(str(EW_SOURCE_DIR "/tests/data/npy/", name, ".npy")).value();
    const NpyArray array = parse_npy(bytes).value();
    CHECK(array.shape == Shape({2, 3, 4}));
    std::vector<double> values(24);
    convert_elements(array.dtype, array.bytes.data(), DType::kF64, values.data(), 24);
    for (size_t i = 0; i < values.size(); ++i) CHECK(values[i] == static_cast<double>(i));
    if (std::string(name) == "v1") {
      CHECK(write_npy(array.dtype, array.shape, array.bytes).value() == bytes);
    }
  }
}

TEST_CASE("npy: never loads pickles and names unsupported types") {
  const auto read = [](const char* name) {
    return parse_npy(read_file(str(EW_SOURCE_DIR "/tests/data/npy/", name)).value());
  };
  CHECK(read("obj.npy").error().code == ErrorCode::kUnsupported);
  CHECK(read("str.npy").error().message.find("U2") != std::string::npos);
}

TEST_CASE("npy: reads versions 1 to 3") {
  for (int version = 1; version <= 3; ++version) {
    const auto array =
        parse_npy(file(dict("<i2", "False", "(2,)"), {"\x01\x00\xff\xff", 4}, version));
    REQUIRE(array.ok());
    CHECK(array->dtype == DType::kI16);
    CHECK(array->shape == Shape{2});
    CHECK(elements<int16_t>(*array) == std::vector<int16_t>{1, -1});
  }
}

TEST_CASE("npy: converts big-endian elements") {
  const auto array = parse_npy(file(dict(">f4", "False", "(1,)"), {"\x3f\xc0\x00\x00", 4}));
  REQUIRE(array.ok());
  CHECK(elements<float>(*array) == std::vector<float>{1.5f});
}

TEST_CASE("npy: converts Fortran order to C order") {
  // Column-major bytes 0..5 of shape (2, 3): columns (0,1), (2,3), (4,5).
  const auto array =
      parse_npy(file(dict("|u1", "True", "(2, 3)"), {"\x00\x01\x02\x03\x04\x05", 6}));
  REQUIRE(array.ok());
  CHECK(elements<uint8_t>(*array) == std::vector<uint8_t>{0, 2, 4, 1, 3, 5});
  std::string stored;
  for (char i = 0; i < 24; ++i) stored += i;
  const auto cube = parse_npy(file(dict("|i1", "True", "(2, 3, 4)"), stored));
  REQUIRE(cube.ok());
  for (int a = 0; a < 2; ++a) {
    for (int b = 0; b < 3; ++b) {
      for (int c = 0; c < 4; ++c) {
        CHECK(cube->bytes[static_cast<size_t>(a * 12 + b * 4 + c)] == a + 2 * b + 6 * c);
      }
    }
  }
}

TEST_CASE("npy: stores bool as 0 and 1 whatever the file holds") {
  const auto array = parse_npy(file(dict("|b1", "False", "(3,)"), {"\x00\x07\xff", 3}));
  REQUIRE(array.ok());
  CHECK(array->bytes == std::vector<uint8_t>{0, 1, 1});
}

TEST_CASE("npy: reads scalars, empty arrays and Python 2 headers") {
  const auto scalar = parse_npy(file(dict("|u1", "False", "()"), "\x05"));
  REQUIRE(scalar.ok());
  CHECK(scalar->shape.rank() == 0);
  CHECK(scalar->bytes.size() == 1);
  const auto empty = parse_npy(file(dict("<f8", "False", "(0, 5)"), ""));
  CHECK(empty.ok());
  const auto old = parse_npy(file(dict("|u1", "False", "(1L, 1L)"), "\x05"));
  REQUIRE(old.ok());
  CHECK(old->shape == Shape{1, 1});
}

TEST_CASE("npy: writes what it reads, for every dtype") {
  for (const DType dtype :
       {DType::kBool, DType::kI8, DType::kU8, DType::kI16, DType::kU16, DType::kI32, DType::kU32,
        DType::kI64, DType::kU64, DType::kF16, DType::kF32, DType::kF64}) {
    for (const Shape& shape : {Shape{}, Shape{6}, Shape{2, 3}, Shape{0, 4}}) {
      const size_t bytes = static_cast<size_t>(shape.num_elements()) * dtype_size(dtype);
      std::vector<uint8_t> data(bytes);
      for (size_t i = 0; i < bytes; ++i)
        data[i] = static_cast<uint8_t>(dtype == DType::kBool ? i % 2 : i % 251);
      const auto written = write_npy(dtype, shape, data);
      REQUIRE(written.ok());
      CHECK((written->size() - bytes) % 64 == 0);
      const auto read = parse_npy(*written);
      REQUIRE(read.ok());
      CHECK(read->dtype == dtype);
      CHECK(read->shape == shape);
      CHECK(read->bytes == data);
    }
  }
  CHECK_FALSE(write_npy(DType::kBF16, Shape{1}, std::vector<uint8_t>(2)).ok());
  CHECK_FALSE(write_npy(DType::kF32, Shape{2}, std::vector<uint8_t>(4)).ok());
}

TEST_CASE("npy: rejects hostile headers and says why") {
  const std::string tail = "xxxxxxxx";
  CHECK(message({1, 2, 3}).find("not an .npy file") != std::string::npos);
  CHECK(message(file("", tail)).find("expected '{'") != std::string::npos);
  CHECK(message(file(dict("|O", "False", "(1,)"), tail)).find("pickle") != std::string::npos);
  CHECK(message(file(dict("<U5", "False", "(1,)"), tail)).find("'<U5'") != std::string::npos);
  CHECK(message(file(dict("<c8", "False", "(1,)"), tail)).find("'<c8'") != std::string::npos);
  CHECK(message(file("{'descr': [('a', '<f4')], }", tail)).find("structured") != std::string::npos);
  CHECK(message(file(dict("<f4", "__import__('os')", "(1,)"), tail)).find("True or False") !=
        std::string::npos);
  CHECK(message(file(dict("<f4", "False", "(-1,)"), tail)).find("negative") != std::string::npos);
  CHECK(message(file(dict("<f4", "False", "(99999999999999999999,)"), tail)).find("a dimension") !=
        std::string::npos);
  CHECK(message(file(dict("<f4", "False", "(4611686018427387904, 4)"), tail)).find("overflows") !=
        std::string::npos);
  CHECK(message(file(dict("<f4", "False", "(3000000000,)"), tail)) != "ok");
  CHECK(message(file(dict("<f4", "False", "(3,)"), tail)) ==
        "npy: shape (3,) of float32 needs 12 bytes, the file has 8");
  CHECK(message(file("{'descr': '<f4', 'shape': (1,)}", tail)).find("'fortran_order' is missing") !=
        std::string::npos);
  CHECK(message(file("{'shape': (1,), 'shape': (1,)}", tail)).find("twice") != std::string::npos);
  CHECK(message(file(dict("<f4", "False", "(1,)") + "import", tail)) != "ok");
  CHECK(message(file(dict("<f4", "False", "(1,)"), tail, 9)).find("version 9") !=
        std::string::npos);
  std::string deep = "(";
  for (int i = 0; i < 40; ++i) deep += "1,";
  CHECK(message(file(dict("<f4", "False", deep + ")"), tail)).find("rank") != std::string::npos);
}

TEST_CASE("npy: every truncation of a file is an error") {
  const std::vector<uint8_t> data{1, 2, 3, 4, 5, 6, 7, 8};
  const auto whole = write_npy(DType::kF32, Shape{2}, data);
  REQUIRE(whole.ok());
  for (size_t n = 0; n < whole->size(); ++n) {
    CHECK_FALSE(parse_npy(std::span(*whole).first(n)).ok());
  }
}

}  // namespace ew
