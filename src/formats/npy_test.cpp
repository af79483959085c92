#include "formats/npy.h"

#include <doctest/doctest.h>

#include <cstring>

#include "base/file.h"
#include "testing/temporary_folder.h"

namespace ew::formats {
namespace {

std::string data(const std::string& name) {
  return EW_SOURCE_DIR "/tests/data/formats/npy/" + name;
}

std::vector<double> doubles(const NpyArray& a) {
  std::vector<double> out(static_cast<size_t>(a.shape.num_elements()));
  convert_elements(a.dtype, a.bytes.data(), DType::kF64, out.data(), a.shape.num_elements());
  return out;
}

std::vector<double> count_to(int n) {
  std::vector<double> out;
  for (int i = 0; i < n; ++i) out.push_back(i);
  return out;
}

Result<NpyArray> from_header(const std::string& header, size_t bytes = 64) {
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size() & 0xFF);
  file += static_cast<char>(header.size() >> 8);
  file += header + std::string(bytes, '\1');
  return read_npy(std::span(reinterpret_cast<const uint8_t*>(file.data()), file.size()));
}

}  // namespace

TEST_CASE("npy: reads all format versions, Fortran order and big-endian numbers") {
  for (const char* name : {"v1.npy", "v2.npy", "v3.npy", "fortran.npy", "big.npy"}) {
    CAPTURE(name);
    const NpyArray a = read_npy(data(name)).value();
    CHECK(a.shape == Shape({2, 3, 4}));
    CHECK(doubles(a) == count_to(24));
  }
  CHECK(read_npy(data("big.npy")).value().dtype == DType::kI16);
}

TEST_CASE("npy: never loads pickles and names unsupported types") {
  const auto objects = read_npy(data("obj.npy"));
  CHECK(objects.error().code == ErrorCode::kUnsupported);
  CHECK(objects.error().message.find("pickled") != std::string::npos);
  CHECK(read_npy(data("str.npy")).error().message.find("'U2'") != std::string::npos);
  CHECK(from_header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}")
            .error()
            .code == ErrorCode::kUnsupported);
}

TEST_CASE("npy: reads stored and deflated archives") {
  for (const char* name : {"s.npz", "z.npz"}) {
    CAPTURE(name);
    const NamedArrays arrays = read_npz(data(name)).value();
    REQUIRE(arrays.size() == 2);
    CHECK(arrays[0].first == "x");
    CHECK(doubles(arrays[0].second) == count_to(24));
    CHECK(arrays[1].first == "y");
  }
  CHECK(read_npz(data("v1.npy")).error().message.starts_with(data("v1.npy")));
}

TEST_CASE("npy: accepts headers by hand and refuses wrong ones with the offset") {
  CHECK(from_header("{\"shape\":(2,3L),'fortran_order':False,'descr':'|u1'}").value().shape ==
        Shape({2, 3}));
  CHECK(from_header("{'descr': '<f4', 'fortran_order': False, 'shape': ()}").value().shape.rank() ==
        0);
  CHECK(from_header("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9)}")
            .value()
            .bytes.empty());
  for (const char* wrong :
       {"", "{", "{}", "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': '<f4 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (17,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (65536, 65536)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}",
        "{'descr': '<f3', 'fortran_order': False, 'shape': (1,)}"}) {
    CAPTURE(wrong);
    CHECK_FALSE(from_header(wrong).ok());
  }
  CHECK(from_header("{'descr': '<f4', 'fortran_order': False, 'shape': (17,)}").error().message ==
        "npy: shape (17,) of float32 needs 68 bytes, found 64");
}

TEST_CASE("npy: bools are 0 or 1 whatever the file holds") {
  std::string header = "{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}";
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size());
  file += '\0';
  file += header + "\x05" + std::string(1, '\0');
  const auto a = read_npy(std::span(reinterpret_cast<const uint8_t*>(file.data()), file.size()));
  CHECK(a.value().bytes == std::vector<uint8_t>{1, 0});
}

TEST_CASE("npy: survives cuts and any byte changed") {
  const auto good = read_file(data("v1.npy")).value();
  for (size_t i = 0; i < good.size(); ++i) CHECK_FALSE(read_npy(std::span(good).first(i)).ok());
  for (size_t i = 0; i < 128; ++i) {
    for (int b = 0; b < 256; ++b) {
      auto changed = good;
      changed[i] = static_cast<uint8_t>(b);
      const auto a = read_npy(std::span<const uint8_t>(changed));
      if (a.ok()) {
        CHECK(a->bytes.size() ==
              static_cast<size_t>(a->shape.num_elements()) * dtype_size(a->dtype));
      }
    }
  }
}

TEST_CASE("npy: writes what NumPy itself writes, byte for byte") {
  const NpyArray a = read_npy(data("v1.npy")).value();
  CHECK(write_npy_bytes(a.dtype, a.shape, a.bytes).value() == read_file(data("v1.npy")).value());
}

TEST_CASE("npy: every type and shape survives writing and reading") {
  const testing::TemporaryFolder folder;
  NamedArrays arrays;
  for (int d = 0; d <= static_cast<int>(DType::kBool); ++d) {
    const auto dtype = static_cast<DType>(d);
    if (dtype == DType::kBF16) continue;
    for (const Shape& shape : {Shape{}, Shape{5}, Shape{0, 2}, Shape{2, 3, 4}}) {
      NpyArray a{dtype, shape, {}};
      a.bytes.assign(static_cast<size_t>(shape.num_elements()) * dtype_size(dtype), 1);
      arrays.emplace_back(str("a", arrays.size()), a);
      REQUIRE(write_npy(folder.path("a.npy"), dtype, shape, a.bytes).ok());
      CHECK(read_npy(folder.path("a.npy")).value() == a);
    }
  }
  REQUIRE(write_npz(folder.path("a.npz"), arrays).ok());
  CHECK(read_npz(folder.path("a.npz")).value() == arrays);
}

TEST_CASE("npy: bfloat16 is written as float32, and bytes must fit the shape") {
  const BFloat16 value = to_bfloat16(1.5f);
  const std::span bytes(reinterpret_cast<const uint8_t*>(&value), 2);
  const auto file = write_npy_bytes(DType::kBF16, {1}, bytes).value();
  const NpyArray a = read_npy(std::span<const uint8_t>(file)).value();
  CHECK(a.dtype == DType::kF32);
  CHECK(doubles(a) == std::vector<double>{1.5});
  CHECK(write_npy_bytes(DType::kF32, {1}, bytes).error().code == ErrorCode::kInvalidArgument);
}

}  // namespace ew::formats
