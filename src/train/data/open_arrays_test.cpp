#include <algorithm>

#include "train/data/byte_file.h"
#include "train/data/dataset.h"
#include "train/data/idx.h"
#include "train/data/npz.h"
#include "train/data/test_files.h"

namespace ew::train {
namespace {

using namespace test;

std::vector<float> floats(const Tensor& tensor) {
  const auto values = tensor.values<float>();
  return {values.begin(), values.end()};
}
std::vector<int32_t> ints(const Tensor& tensor) {
  const auto values = tensor.values<int32_t>();
  return {values.begin(), values.end()};
}

// 20 rows of 2x2 pixels; row i begins with 4 * i, and its label is i.
void write_xy(const std::string& path) {
  write_zip(path, {{"x.npy", npy(iota<uint8_t>(Shape{20, 2, 2}))},
                   {"y.npy", npy(iota<int64_t>(Shape{20})), true}});
}

}  // namespace

TEST_CASE("npz: named parts, stored and deflated, pixels as unscaled floats") {
  const TempFolder folder;
  const std::string path = folder.path("d.npz");
  write_zip(path, {{"x_train.npy", npy(iota<uint8_t>(Shape{10, 3}))},
                   {"y_train.npy", npy(iota<uint8_t>(Shape{10})), true},
                   {"x_test.npy", npy(iota<uint8_t>(Shape{2, 3}, 200))},
                   {"y_test.npy", npy(iota<uint8_t>(Shape{2}))}});
  const auto data = open_dataset(path, {.validation_split = 0.25});
  REQUIRE_MESSAGE(data.ok(), message(data));
  CHECK(data->train->size() == 7);  // floor(10 * 0.75)
  CHECK(data->validation->size() == 3);
  CHECK(data->test->size() == 2);
  CHECK(data->train->x_types()[0].shape == Shape{3});
  CHECK(data->train->y_types()[0].dtype == DType::kI32);
  CHECK(data->preprocessing["value_range"].as_int() == 255);
  const auto validation = read_all(*data->validation);
  REQUIRE(validation.ok());
  CHECK(ints(validation->y[0]) == std::vector<int32_t>{7, 8, 9});  // the last rows, in order
  const auto test = read_all(*data->test);
  CHECK(floats(test->x[0]) == std::vector<float>{200, 201, 202, 203, 204, 205});
}

TEST_CASE("npz: x, y are split 80/10/10 by the seed, rows stay together") {
  const TempFolder folder;
  write_xy(folder.path("d.npz"));
  const auto data = open_dataset(folder.path("d.npz"), {.seed = 3});
  REQUIRE_MESSAGE(data.ok(), message(data));
  CHECK(data->train->size() == 16);
  CHECK(data->validation->size() == 2);
  CHECK(data->test->size() == 2);
  std::vector<int32_t> all;
  for (const auto& part : {data->train, data->validation, data->test}) {
    const auto split = read_all(*part);
    REQUIRE(split.ok());
    for (int64_t i = 0; i < split->size(); ++i) {
      const int32_t label = split->y[0].values<int32_t>()[static_cast<size_t>(i)];
      CHECK(split->x[0].values<float>()[static_cast<size_t>(i) * 4] ==
            static_cast<float>(4 * label));
      all.push_back(label);
    }
  }
  const auto again = open_dataset(folder.path("d.npz"), {.seed = 3});
  const auto other = open_dataset(folder.path("d.npz"), {.seed = 4});
  const auto labels = [](const Result<Dataset>& d) { return ints(read_all(*d->train)->y[0]); };
  CHECK(labels(data) == labels(again));
  CHECK(labels(data) != labels(other));
  std::sort(all.begin(), all.end());
  CHECK(all == ints(iota<int32_t>(Shape{20})));
}

TEST_CASE("npz: several inputs, several outputs, sample weights, targets that are the input") {
  const TempFolder folder;
  const std::string path = folder.path("d.npz");
  write_zip(path, {{"x_train_0.npy", npy(iota<float>(Shape{4, 2}))},
                   {"x_train_1.npy", npy(iota<double>(Shape{4}))},
                   {"y_train_0.npy", npy(iota<float>(Shape{4, 1}))},
                   {"y_train_1.npy", npy(iota<int8_t>(Shape{4}))},
                   {"w_train.npy", npy(iota<double>(Shape{4}))},
                   {"x_test_0.npy", npy(iota<float>(Shape{1, 2}))},
                   {"x_test_1.npy", npy(iota<double>(Shape{1}))},
                   {"y_test_0.npy", npy(iota<float>(Shape{1, 1}))},
                   {"y_test_1.npy", npy(iota<int8_t>(Shape{1}))}});
  const auto data = open_dataset(path, {.validation_split = 0});
  REQUIRE_MESSAGE(data.ok(), message(data));
  CHECK(data->train->x_types().size() == 2);
  CHECK(data->train->y_types().size() == 2);
  CHECK(data->validation->size() == 0);
  Split rows;
  const int64_t which[] = {3, 1};
  REQUIRE(data->train->read(which, rows).ok());
  CHECK(floats(rows.weights) == std::vector<float>{3, 1});
  CHECK(floats(rows.x[0]) == std::vector<float>{6, 7, 2, 3});
  CHECK(ints(rows.y[1]) == std::vector<int32_t>{3, 1});

  const auto same = open_dataset(path + "?target=input", {.validation_split = 0});
  REQUIRE_MESSAGE(same.ok(), message(same));
  REQUIRE(same->train->read(which, rows).ok());
  CHECK(floats(rows.y[0]) == floats(rows.x[0]));
  REQUIRE(same->train->read(which, rows, true).ok());
  CHECK(rows.x.empty());
  CHECK(floats(rows.y[1]) == std::vector<float>{3, 1});
}

TEST_CASE("npz: says what is missing or does not agree") {
  const TempFolder folder;
  const std::string path = folder.path("d.npz");
  write_zip(path, {{"images.npy", npy(iota<float>(Shape{4, 2}))}});
  CHECK(has(message(open_dataset(path)), "found images"));
  write_zip(path, {{"x_train.npy", npy(iota<float>(Shape{4, 2}))},
                   {"y_train.npy", npy(iota<float>(Shape{3}))}});
  CHECK(has(message(open_dataset(path)), "different numbers of rows: (4, 2) and (3,)"));
  write_zip(path, {{"x_train.npy", npy(iota<float>(Shape{4, 2}))},
                   {"y_train.npy", npy(iota<float>(Shape{4}))},
                   {"x_test.npy", npy(iota<float>(Shape{4, 3}))},
                   {"y_test.npy", npy(iota<float>(Shape{4}))}});
  CHECK(has(message(open_dataset(path)), "inputs of the test part"));
  write_zip(path, {{"x_train.npy", npy(iota<float>(Shape{4, 2}))},
                   {"y_train.npy", npy(iota<float>(Shape{4}))},
                   {"x_test.npy", npy(iota<float>(Shape{4, 2}))}});
  CHECK(has(message(open_dataset(path)), "expected y_test beside x_test"));
  write_zip(path,
            {{"x.npy", npy(iota<float>(Shape{0, 2}))}, {"y.npy", npy(iota<float>(Shape{0}))}});
  CHECK(has(message(open_dataset(path)), "has no rows"));
  CHECK(has(message(open_dataset(path + "?lable=x")), "'lable' is unknown"));
  CHECK(open_dataset(folder.path("none.npz")).error().code == ErrorCode::kNotFound);
}

TEST_CASE("npz: damaged and hostile archives are errors") {
  const TempFolder folder;
  const std::string path = folder.write("d.npz", "PK\x03\x04 and then nothing of use");
  CHECK(has(message(NpzFile::open(path)), "cannot read as .npz"));
  // A bomb: 64 MB of zeros in 64 kB, under a cap of 1 MB.
  write_zip(path, {{"x.npy", npy(Tensor(DType::kU8, Shape{1 << 26}))}});
  const auto bomb = open_dataset(path, {.max_bytes = 1 << 20});
  REQUIRE_FALSE(bomb.ok());
  CHECK(bomb.error().code == ErrorCode::kResourceLimit);
  // A header that claims more than the member holds.
  Bytes lying = npy(iota<float>(Shape{4}));
  lying.resize(lying.size() - 8);
  write_zip(path, {{"x.npy", lying}});
  CHECK(has(message(open_dataset(path)), "needs 16 bytes, the member has 8"));
  // A flipped bit in a stored member: the checksum finds it.
  write_zip(path, {{"x.npy", npy(iota<float>(Shape{4, 4})), true}});
  Bytes whole = *read_file(path);
  const Bytes pattern = npy(iota<float>(Shape{4, 4}));
  const auto at = std::search(whole.begin(), whole.end(), pattern.begin() + 128, pattern.end());
  REQUIRE(at != whole.end());
  at[5] ^= 1;
  folder.write("d.npz", whole);
  CHECK(has(message(open_dataset(path)), "damaged"));
  // The central directory claims 2 GB for a few bytes.
  write_zip(path, {{"x.npy", npy(iota<float>(Shape{4, 4}))}});
  whole = *read_file(path);
  const Bytes magic{'P', 'K', 1, 2};
  const auto entry = std::search(whole.begin(), whole.end(), magic.begin(), magic.end());
  REQUIRE(entry != whole.end());
  entry[27] = 0x7f;  // the highest byte of the uncompressed size
  folder.write("d.npz", whole);
  CHECK_FALSE(open_dataset(path).ok());
  for (size_t n = 0; n < whole.size(); n += 7) {
    folder.write("d.npz", Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)));
    CHECK_FALSE(open_dataset(path).ok());
  }
}

TEST_CASE("npy pair: reads from memory and from disk alike") {
  const TempFolder folder;
  const std::string spec = folder.write("x.npy", npy(iota<int16_t>(Shape{30, 2, 3}))) + "," +
                           folder.write("y.npy", npy(iota<uint8_t>(Shape{30})));
  const auto memory = open_dataset(spec);
  const auto disk = open_dataset(spec, {.memory_bytes = 16});
  REQUIRE_MESSAGE(memory.ok(), message(memory));
  REQUIRE_MESSAGE(disk.ok(), message(disk));
  const auto a = read_all(*memory->train);
  const auto b = read_all(*disk->train);
  REQUIRE(a.ok());
  REQUIRE(b.ok());
  CHECK(a->x[0].shape() == Shape{24, 2, 3});
  CHECK(floats(a->x[0]) == floats(b->x[0]));
  CHECK(ints(a->y[0]) == ints(b->y[0]));
  Split rows;
  const int64_t outside[] = {24};
  CHECK(has(message(disk->train->read(outside, rows)), "row 24 is outside"));
}

TEST_CASE("npy pair: a file that shrinks while it is read is an error") {
  const TempFolder folder;
  const std::string x = folder.write("x.npy", npy(iota<float>(Shape{100, 4})));
  const auto data = open_dataset(x, {.memory_bytes = 16});
  REQUIRE_MESSAGE(data.ok(), message(data));
  CHECK(data->train->y_types().empty());
  REQUIRE(::truncate(x.c_str(), 200) == 0);
  CHECK(has(message(read_all(*data->train)), "cut short"));
}

TEST_CASE("npy pair: rows that do not agree, and Fortran order that is too large, are errors") {
  const TempFolder folder;
  const std::string x = folder.write("x.npy", npy(iota<float>(Shape{3, 2})));
  const std::string y = folder.write("y.npy", npy(iota<float>(Shape{4})));
  CHECK(has(message(open_dataset(x + "," + y)), "has 4 rows"));
  std::string text(reinterpret_cast<const char*>(npy(iota<float>(Shape{3, 2})).data()), 152);
  text.replace(text.find("False"), 5, "True ");
  const std::string fortran = folder.write("f.npy", text);
  const auto data = open_dataset(fortran, {.memory_bytes = 1});
  REQUIRE_MESSAGE(data.ok(), message(data));
  CHECK(has(message(open_dataset(fortran, {.memory_bytes = 1, .max_bytes = 20})),
            "ascontiguousarray"));
}

TEST_CASE("idx: a folder as MNIST's, plain and gzip") {
  const TempFolder folder;
  Bytes pixels(40);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i);
  folder.write("train-images-idx3-ubyte.gz", gzip(idx(8, {10, 2, 2}, pixels)));
  folder.write("train-labels-idx1-ubyte", idx(8, {10}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  folder.write("t10k-images-idx3-ubyte", idx(8, {1, 2, 2}, {9, 9, 9, 9}));
  folder.write("t10k-labels-idx1-ubyte.gz", gzip(idx(8, {1}, {7})));
  const auto data = open_dataset(folder.path());
  REQUIRE_MESSAGE(data.ok(), message(data));
  CHECK(data->train->size() == 9);
  CHECK(data->test->size() == 1);
  CHECK(data->train->x_types()[0].shape == Shape{2, 2});
  CHECK(ints(read_all(*data->test)->y[0]) == std::vector<int32_t>{7});
}

TEST_CASE("idx: wide elements are big-endian") {
  const auto i16 = parse_idx(idx(0x0b, {2}, {0x01, 0x02, 0xff, 0xfe}));
  REQUIRE(i16.ok());
  CHECK(i16->values<int16_t>()[0] == 0x0102);
  CHECK(i16->values<int16_t>()[1] == -2);
  const auto f32 = parse_idx(idx(0x0d, {1}, {0x3f, 0xc0, 0, 0}));
  REQUIRE(f32.ok());
  CHECK(f32->values<float>()[0] == 1.5f);
}

TEST_CASE("idx: hostile headers and truncated files are errors") {
  CHECK(has(message(parse_idx(idx(8, {0xffffffff, 0xffffffff, 0xffffffff}, {1, 2}))),
            "more than 2147483647 elements"));
  CHECK(
      has(message(parse_idx(idx(8, {1000, 1000}, {1, 2}))), "needs 1000000 bytes, the file has 2"));
  CHECK(has(message(parse_idx(idx(8, {1}, {1, 2}))), "needs 1 bytes, the file has 2"));
  CHECK(has(message(parse_idx(idx(7, {1}, {1}))), "not an IDX file"));
  CHECK(has(message(parse_idx(Bytes{0, 0, 8})), "not an IDX file"));
  CHECK(has(message(parse_idx(Bytes{0, 0, 8, 200, 1})), "cut short"));
  CHECK_FALSE(parse_idx(idx(8, std::vector<uint32_t>(9, 1), {1})).ok());
  const TempFolder folder;
  Bytes packed = gzip(idx(8, {1, 1000, 4}, Bytes(4000, 3)));
  for (size_t n = 2; n < packed.size(); ++n) {
    const Bytes cut(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(n));
    CHECK_FALSE(read_idx(folder.write("cut.gz", cut), 1 << 20).ok());
  }
  packed.resize(packed.size() - 9);
  CHECK(has(message(read_idx(folder.write("cut.gz", packed), 1 << 20)), "gzip data is cut short"));
  folder.write("train-images-idx3-ubyte", idx(8, {1, 1, 1}, {1}));
  CHECK(has(message(open_dataset(folder.path())), "the labels are missing"));
}

TEST_CASE("gunzip: stops at the cap, joins members, ignores trailing padding") {
  const auto bomb = gunzip("bomb.gz", gzip(Bytes(1 << 22)), 1 << 20);
  REQUIRE_FALSE(bomb.ok());
  CHECK(bomb.error().code == ErrorCode::kResourceLimit);
  CHECK(gunzip("fits.gz", gzip(Bytes(1 << 20)), 1 << 20).ok());
  Bytes two = gzip({1, 2});
  const Bytes second = gzip({3});
  two.insert(two.end(), second.begin(), second.end());
  two.insert(two.end(), 10, 0);
  const auto joined = gunzip("two.gz", two, 100);
  REQUIRE_MESSAGE(joined.ok(), message(joined));
  CHECK(*joined == Bytes{1, 2, 3});
  CHECK(has(message(gunzip("bad.gz", Bytes{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff}, 100)),
            "damaged gzip data"));
}

TEST_CASE("open_dataset: names what it cannot open and checks its options") {
  const TempFolder folder;
  CHECK(has(message(open_dataset(folder.path("missing"))), "no such file or folder"));
  CHECK(has(message(open_dataset(folder.write("a.txt", "hello"))), "expected .npz, .npy, .csv"));
  CHECK(has(message(open_dataset(folder.path())), "found none of them"));
  write_xy(folder.path("d.npz"));
  const std::string path = folder.path("d.npz");
  CHECK(has(message(open_dataset(path, {.validation_split = 1})), "[0, 1)"));
  CHECK(has(message(open_dataset(path, {.validation_split = 0.99})), "none for training"));
  CHECK(has(message(open_dataset(path, {.scale = 0})), "other than 0"));
  CHECK(has(message(open_dataset(path + "?target=output")), "expected 'input'"));
  CHECK(has(message(open_dataset(path + "?target")), "expected key=value"));
  CHECK(has(message(open_dataset(path + "?target=input&target=input")), "given twice"));
  const auto scaled = open_dataset(path, {.scale = 1.0 / 255});
  REQUIRE(scaled.ok());
  CHECK(scaled->preprocessing["scale"].as_double() == 1.0 / 255);
  CHECK(read_all(*scaled->train)->x[0].values<float>()[1] >= 1);  // recorded, not applied
}

TEST_CASE("idx: Debian's Fashion-MNIST, where it is installed") {
  const std::string path = "/usr/share/datasets/fashion-mnist";
  if (!is_directory(path)) return;
  const auto data = open_dataset(path);
  REQUIRE_MESSAGE(data.ok(), message(data));
  CHECK(data->train->size() == 54000);
  CHECK(data->validation->size() == 6000);
  CHECK(data->test->size() == 10000);
  CHECK(data->train->x_types()[0].shape == Shape{28, 28});
  Split row;
  const int64_t first[] = {0};
  REQUIRE(data->test->read(first, row).ok());
  CHECK(row.y[0].values<int32_t>()[0] == 9);  // the first test image is an ankle boot
}

}  // namespace ew::train
