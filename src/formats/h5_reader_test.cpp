#include "formats/h5_reader.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <random>
#include <thread>

#include "base/file.h"
#include "base/sanitizer.h"
#include "formats/json.h"

namespace ew::formats {
namespace {

std::string variant(const std::string& name) {
  return EW_SOURCE_DIR "/tests/oracle/fixtures/h5/h5py_variants/" + name;
}
std::string data(const std::string& name) { return EW_SOURCE_DIR "/tests/data/formats/h5/" + name; }

/// Equal structure, names, strings and numbers, whatever the floating-point type.
void check_same(const H5Value& a, const H5Value& b) {
  CHECK(a.shape == b.shape);
  CHECK(a.strings == b.strings);
  if (!a.is_string) CHECK(a.as_doubles().value() == b.as_doubles().value());
}

void check_same(const std::vector<H5Attribute>& a, const std::vector<H5Attribute>& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    CAPTURE(a[i].name);
    CHECK(a[i].name == b[i].name);
    check_same(a[i].value, b[i].value);
  }
}

void check_same(const H5Group& a, const H5Group& b) {
  CAPTURE(a.name);
  CHECK(a.name == b.name);
  check_same(a.attributes, b.attributes);
  REQUIRE(a.groups.size() == b.groups.size());
  REQUIRE(a.datasets.size() == b.datasets.size());
  for (size_t i = 0; i < a.groups.size(); ++i) check_same(a.groups[i], b.groups[i]);
  for (size_t i = 0; i < a.datasets.size(); ++i) {
    CHECK(a.datasets[i].name == b.datasets[i].name);
    check_same(a.datasets[i].value, b.datasets[i].value);
    check_same(a.datasets[i].attributes, b.datasets[i].attributes);
  }
}

std::vector<double> numbers(const H5Group& root, const std::string& path) {
  return root.dataset(path).value()->value.as_doubles().value();
}

}  // namespace

TEST_CASE("h5_reader: reads what Keras wrote, and its model_config is JSON") {
  const H5Group root = read_h5(variant("plain.h5")).value();
  CHECK(root.attribute("backend").value()->as_string().value() == "tensorflow");
  const std::string config = root.attribute("model_config").value()->as_string().value();
  CHECK(parse_json(config).value()["class_name"].as_string() == "Sequential");
  const H5Group* weights = root.group("model_weights").value();
  const auto layers = weights->attribute("layer_names").value()->as_string_list().value();
  CHECK(layers.size() == 4);
  const H5Group* conv = weights->group(layers[0]).value();
  const auto names = conv->attribute("weight_names").value()->as_string_list().value();
  const H5Value& kernel = conv->dataset(names[0]).value()->value;
  CHECK(kernel.dtype == DType::kF32);
  CHECK(kernel.shape == Shape({3, 3, 3, 8}));
  CHECK(weights->group("top_level_model_weights")
            .value()
            ->attribute("weight_names")
            .value()
            ->as_string_list()
            .value()
            .empty());
}

TEST_CASE("h5_reader: every storage variant gives the same tree") {
  const H5Group plain = read_h5(variant("plain.h5")).value();
  for (const char* name :
       {"latest.h5", "v110.h5", "fixed_strings.h5", "gzip.h5", "gzip_shuffle_fletcher.h5", "lzf.h5",
        "big_endian.h5", "float64.h5", "latest_gzip.h5"}) {
    CAPTURE(name);
    const auto tree = read_h5(variant(name));
    REQUIRE_MESSAGE(tree.ok(), tree.error().message);
    check_same(*tree, plain);
  }
}

TEST_CASE("h5_reader: reads every element type, strings of both kinds, empty and null") {
  const H5Group root = read_h5(data("types.h5")).value();
  const H5Group* g = root.group("g").value();
  const DType expected[] = {DType::kF16, DType::kF16, DType::kF32, DType::kF64, DType::kI8,
                            DType::kU8,  DType::kI16, DType::kU16, DType::kI32, DType::kU32,
                            DType::kI64, DType::kU64, DType::kBool};
  for (int i = 0; i < 13; ++i) {
    CAPTURE(i);
    const H5Value& v = g->dataset(str("d", i < 10 ? "0" : "", i)).value()->value;
    CHECK(v.dtype == expected[i]);
    CHECK(v.shape == Shape({2, 3}));
    const double hundred = i == 12 ? 1 : 100;
    CHECK(v.as_doubles().value() ==
          std::vector<double>{0, 1, i == 12 ? 1.0 : 2.0, i == 12 ? 1.0 : 3.0, hundred, 1});
  }
  CHECK(g->dataset("scalar").value()->value == H5Value::scalar(int64_t{7}));
  CHECK(g->dataset("empty").value()->value.shape == Shape({0, 3}));
  CHECK(g->dataset("null").value()->value.shape == Shape({0}));
  CHECK(g->dataset("text").value()->value.strings ==
        std::vector<std::string>{"a", "bcd", "\xc3\xa9"});
  CHECK(g->dataset("fixed").value()->value.strings == std::vector<std::string>{"ab", "cde"});
  CHECK(*root.attribute("flag").value() == H5Value::scalar(true));
  CHECK(root.attribute("list").value()->as_doubles().value() == std::vector<double>{1.5, 2.5});
  CHECK(root.attribute("none").value()->as_string_list().value().empty());
  CHECK(root.attribute("big").value()->as_string().value() == std::string(100000, 'x'));
  CHECK(root.find_attribute("ref") == nullptr);  // references are left out
}

TEST_CASE("h5_reader: reads compact data, partial chunks, dense attributes and user blocks") {
  CHECK(numbers(read_h5(data("compact.h5")).value(), "d") == std::vector<double>{1, 2, 3});
  const H5Group chunked = read_h5(data("chunked.h5")).value();
  const auto values = numbers(chunked, "d");
  REQUIRE(values.size() == 1000);
  for (size_t i = 0; i < values.size(); ++i) REQUIRE(values[i] == static_cast<double>(i));
  CHECK(chunked.attributes.size() == 40);
  CHECK(read_h5(data("user_block.h5")).value().find_attribute("x") != nullptr);
}

TEST_CASE("h5_reader: reads from memory what it reads from disk") {
  const auto bytes = read_file(variant("plain.h5")).value();
  CHECK(read_h5(bytes, "memory").value() == read_h5(variant("plain.h5")).value());
}

TEST_CASE("h5_reader: several threads read at the same time") {
  // A child is forked while other threads allocate; GCC 12's AddressSanitizer may then leave the
  // lock of its allocator taken in the child, for ever. The C library's own allocator does not.
  const int readers = kHasShadowMemory ? 1 : 4;
  const H5Group plain = read_h5(variant("plain.h5")).value();
  std::vector<std::thread> threads;
  std::atomic<int> same = 0;
  for (int t = 0; t < readers; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) {
        const auto tree = read_h5(variant("plain.h5"));
        if (tree.ok() && *tree == plain) ++same;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(same == 5 * readers);
}

TEST_CASE("h5_reader: damaged files give one line that names the file") {
  for (const char* name : {"truncated.h5", "corrupt_header.h5"}) {
    const auto tree = read_h5(variant(name));
    REQUIRE_FALSE(tree.ok());
    CHECK(tree.error().code == ErrorCode::kInvalidData);
    CHECK(tree.error().message.starts_with(variant(name) + ": damaged HDF5 file: "));
  }
}

TEST_CASE("h5_reader: says what a file is that is no HDF5 file") {
  const auto message = [](std::string_view text) {
    const std::span bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
    return read_h5(bytes, "m.h5").error().message;
  };
  CHECK(message("") == "m.h5: expected an HDF5 file, found an empty file (0 bytes)");
  CHECK(message("PK\x03\x04...") ==
        "m.h5: expected an HDF5 file, found a ZIP archive (a .keras file?) (7 bytes)");
  CHECK(message("hello").find("found text") != std::string::npos);
  CHECK(message("version https://git-lfs").find("Git LFS") != std::string::npos);
  CHECK(read_h5("/nonexistent.h5").error().code == ErrorCode::kNotFound);
}

TEST_CASE("h5_reader: refuses circles, links, foreign data, bombs and unknown types") {
  const auto error = [](const std::string& name) {
    const auto tree = read_h5(data(name));
    REQUIRE_FALSE(tree.ok());
    return tree.error();
  };
  CHECK(error("links.h5").message.find("linked more than once") != std::string::npos);
  CHECK(error("soft.h5").code == ErrorCode::kUnsupported);
  CHECK(error("external_link.h5").code == ErrorCode::kUnsupported);
  CHECK(error("external_data.h5").message.find("other files") != std::string::npos);
  CHECK(error("virtual.h5").message.find("other files") != std::string::npos);
  CHECK(error("bomb.h5").code == ErrorCode::kResourceLimit);
  CHECK(error("compound.h5").code == ErrorCode::kUnsupported);
}

TEST_CASE("h5_reader: limits on size and objects hold") {
  H5ReadLimits limits;
  limits.max_file_bytes = 1000;
  CHECK(read_h5(variant("plain.h5"), limits).error().code == ErrorCode::kResourceLimit);
  limits = {};
  limits.max_content_bytes = 5000;
  CHECK(read_h5(variant("plain.h5"), limits).error().code == ErrorCode::kResourceLimit);
  limits = {};
  limits.max_objects = 10;
  CHECK(read_h5(variant("plain.h5"), limits).error().code == ErrorCode::kResourceLimit);
}

TEST_CASE("h5_reader: files damaged at random give a tree or an error, in time") {
  std::mt19937 random(7);
  H5ReadLimits limits;
  limits.cpu_seconds = 1;
  for (const char* name : {"plain.h5", "latest_gzip.h5", "lzf.h5", "gzip_shuffle_fletcher.h5"}) {
    const auto good = read_file(variant(name)).value();
    for (int round = 0; round < 25; ++round) {
      auto bytes = good;
      if (round % 5 == 0) bytes.resize(random() % bytes.size());
      for (int i = 0; i < 8 && !bytes.empty(); ++i) {
        // Most of a file's structure lies in its first kilobytes.
        const size_t range = round % 2 == 0 ? bytes.size() : std::min<size_t>(bytes.size(), 3000);
        bytes[8 + random() % std::max<size_t>(range - 8, 1)] = static_cast<uint8_t>(random());
      }
      const auto tree = read_h5(bytes, "damaged.h5", limits);
      if (!tree.ok()) CHECK(tree.error().message.starts_with("damaged.h5: "));
    }
  }
}

TEST_CASE("h5_reader: reads every file of the oracle but the two damaged ones") {
  int count = 0;
  for (const auto& file :
       std::filesystem::recursive_directory_iterator(EW_SOURCE_DIR "/tests/oracle/fixtures")) {
    const std::string name = file.path().filename().string();
    if (file.path().extension() != ".h5" || name == "truncated.h5" || name == "corrupt_header.h5") {
      continue;
    }
    const auto tree = read_h5(file.path().string());
    REQUIRE_MESSAGE(tree.ok(), tree.error().message);
    ++count;
  }
  CHECK(count > 900);
}

}  // namespace ew::formats
