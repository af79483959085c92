#include <algorithm>

#include "train/data/csv.h"
#include "train/data/dataset.h"
#include "train/data/test_files.h"

namespace ew::train {
namespace {

using namespace test;

constexpr const char* kTable =
    "a, b,kind\r\n"
    "1,2,dog\r\n"
    "\r\n"
    " 3 ,4e1,\"cat, big\"\r\n"
    "-5,+6,dog\r\n";

Result<Dataset> open_text(const TempFolder& folder, std::string_view text,
                          const std::string& options = "") {
  return open_dataset(folder.write("t.csv", text) + options, {.validation_split = 0});
}

// Rows of train and test together, by their first feature.
std::vector<std::vector<float>> rows_of(const Dataset& data) {
  std::vector<std::vector<float>> rows;
  for (const auto& part : {data.train, data.validation, data.test}) {
    const auto split = read_all(*part);
    REQUIRE_MESSAGE(split.ok(), message(split));
    const auto width = static_cast<size_t>(part->x_types()[0].shape[0]);
    for (size_t i = 0; i < static_cast<size_t>(part->size()); ++i) {
      const auto x = split->x[0].values<float>().subspan(i * width, width);
      rows.emplace_back(x.begin(), x.end());
      if (split->y.empty()) continue;
      const Tensor y = split->y[0].cast(DType::kF32);
      rows.back().push_back(y.values<float>()[i]);
    }
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace

TEST_CASE("csv: quoted fields, blank lines, spaces, CR LF; words become sorted classes") {
  const TempFolder folder;
  const auto data = open_text(folder, kTable);
  REQUIRE_MESSAGE(data.ok(), message(data));
  CHECK(data->class_names == std::vector<std::string>{"cat, big", "dog"});
  CHECK(rows_of(*data) == std::vector<std::vector<float>>{{-5, 6, 1}, {1, 2, 1}, {3, 40, 0}});
  CHECK(data->preprocessing["columns"] == Config(Config::List{"a", "b"}));
}

TEST_CASE("csv: the label column is chosen by name and may be numbers, values or absent") {
  const TempFolder folder;
  const auto labels = open_text(folder, "y,a\n2,0.5\n0,1.5\n", "?label=y");
  REQUIRE_MESSAGE(labels.ok(), message(labels));
  CHECK(labels->train->y_types()[0].dtype == DType::kI32);
  CHECK(labels->class_names.empty());
  CHECK(rows_of(*labels) == std::vector<std::vector<float>>{{0.5f, 2}, {1.5f, 0}});
  const auto values = open_text(folder, "y,a\n2.5,0.5\n0,1.5\n", "?label=y");
  REQUIRE(values.ok());
  CHECK(values->train->y_types()[0].dtype == DType::kF32);
  const auto mixed = open_text(folder, "a,y\n1,1\n2,1.0\n3,other\n");
  REQUIRE(mixed.ok());
  CHECK(mixed->class_names == std::vector<std::string>{"1", "1.0", "other"});
  const auto none = open_text(folder, "a,b\n1,2\n3,4\n", "?label=none");
  REQUIRE(none.ok());
  CHECK(none->train->y_types().empty());
  CHECK(none->train->x_types()[0].shape == Shape{2});
  CHECK(has(message(open_text(folder, kTable, "?label=knd")), "did you mean 'kind'?"));
  CHECK(has(message(open_text(folder, kTable, "?label=xyzzy")), "columns: a, b, kind"));
}

TEST_CASE("csv: other separators, a byte order mark, gzip") {
  const TempFolder folder;
  const std::vector<std::vector<float>> expected{{1, 2, 0}, {3, 4, 1}};
  const auto semicolon = open_text(folder, "\xef\xbb\xbf\"a\";b;y\n1;2;0\n3;4;1", "?separator=;");
  REQUIRE_MESSAGE(semicolon.ok(), message(semicolon));
  CHECK(rows_of(*semicolon) == expected);
  CHECK(semicolon->preprocessing["columns"].as_list()[0] == Config("a"));
  const auto tab = open_text(folder, "a\tb\ty\n1\t2\t0\n3\t4\t1\n", "?label=y&separator=tab");
  REQUIRE_MESSAGE(tab.ok(), message(tab));
  CHECK(rows_of(*tab) == expected);
  const std::string path = folder.write("t.csv.gz", gzip(bytes_of("a,b,y\n1,2,0\n3,4,1\n")));
  const auto packed = open_dataset(path, {.validation_split = 0});
  REQUIRE_MESSAGE(packed.ok(), message(packed));
  CHECK(rows_of(*packed) == expected);
}

TEST_CASE("csv: a bad row is named by its line") {
  const TempFolder folder;
  CHECK(has(message(open_text(folder, "a,b,y\n1,2,0\n1,x,0\n")),
            "t.csv:3: column 'b': expected a number, found 'x'"));
  CHECK(has(message(open_text(folder, "a,b,y\n\n1,,0\n")), "t.csv:3: column 'b'"));
  CHECK(has(message(open_text(folder, "a,b,y\n1,,0\n")), "fill in the missing value"));
  CHECK(has(message(open_text(folder, "a,b,y\n1,nan,0\n")), "found 'nan'"));
  CHECK(has(message(open_text(folder, "a,b,y\n1,1e39,0\n")), "found '1e39'"));
  CHECK(has(message(open_text(folder, "a,b,y\n1,2,0\n1,2\n")), ":3: expected 3 fields, found 2"));
  // The quoted line break counts: the bad row begins on line 4.
  CHECK(has(message(open_text(folder, "a,y\n1,\"x\ny\"\nz,w\n")), ":4: column 'a'"));
  CHECK(has(message(open_text(folder, "a,y\n1,\"x\"z\n")), ":2: text after a closing quote"));
  CHECK(has(message(open_text(folder, "a,y\n1,\"x\n2,3\n")), ":2: a quote is opened"));
  CHECK(has(message(open_text(folder, "a,y\n1,x\n2,\n")), ":3: column 'y': the label is empty"));
}

TEST_CASE("csv: files without rows, header or features are errors") {
  const TempFolder folder;
  CHECK(has(message(open_text(folder, "")), "is empty"));
  CHECK(has(message(open_text(folder, "\n\n")), "is empty"));
  CHECK(has(message(open_text(folder, "a,y\n")), "has no rows"));
  CHECK(has(message(open_text(folder, "1,2\n3,4\n")), "add the names"));
  CHECK(has(message(open_text(folder, "a;y\n1;2\n")), "is the separator right?"));
  CHECK(has(message(open_text(folder, kTable, "?separator=ab")), "one character or 'tab'"));
}

TEST_CASE("csv: a line without end stops at the cap") {
  const TempFolder folder;
  const auto data = open_text(folder, "a,y\n" + std::string(size_t{18} << 20, '1'));
  REQUIRE_FALSE(data.ok());
  CHECK(data.error().code == ErrorCode::kResourceLimit);
  CHECK(has(message(data), "t.csv:2:"));
}

TEST_CASE("csv: a large table is read by rows and gives what memory gives") {
  const TempFolder folder;
  std::string text = "a,\"b\nb\",y\n";
  for (int i = 0; i < 60000; ++i) {
    text += str(i, ",", i * 0.25, ",\"k\"\"", i % 3, "\"", i % 7 == 0 ? "\n\n" : "\r\n");
  }
  const std::string path = folder.write("t.csv", text);  // above the reader's window of 1 MiB
  const auto memory = open_dataset(path, {.seed = 1});
  const auto disk = open_dataset(path, {.seed = 1, .memory_bytes = 1000});
  REQUIRE_MESSAGE(memory.ok(), message(memory));
  REQUIRE_MESSAGE(disk.ok(), message(disk));
  CHECK(memory->class_names == std::vector<std::string>{"k\"0", "k\"1", "k\"2"});
  const auto rows = rows_of(*disk);
  CHECK(rows == rows_of(*memory));
  CHECK(rows.size() == 60000);
  CHECK(rows[59999] == std::vector<float>{59999, 14999.75f, 59999 % 3});
}

TEST_CASE("csv: windows over the rows, with the label of their last row") {
  const TempFolder folder;
  std::string text = "t,a,b,y\n";
  for (int i = 0; i < 100; ++i) {
    text += str("x", i, ",", i, ",", 100 + i, ",", i % 2, "\n");  // t is no number and not used
  }
  const auto data = open_text(folder, text, "?columns=a,b&label=y&window=4&step=2");
  REQUIRE_MESSAGE(data.ok(), message(data));
  CHECK(data->train->x_types()[0].shape == Shape{4, 2});
  const auto split = read_all(*data->train);
  REQUIRE(split.ok());
  const auto x = split->x[0].values<float>();
  CHECK(std::vector<float>(x.begin() + 8, x.begin() + 16) ==
        std::vector<float>{2, 102, 3, 103, 4, 104, 5, 105});
  CHECK(split->y[0].values<int32_t>()[1] == 1);  // of row 5
}

TEST_CASE("csv: parts of a table of windows share no row") {
  const TempFolder folder;
  std::string text = "a\n";
  for (int i = 0; i < 200; ++i) text += str(i, "\n");
  const auto data = open_dataset(folder.write("t.csv", text) + "?label=none&window=5&target=input",
                                 {.validation_split = 0.1});
  REQUIRE_MESSAGE(data.ok(), message(data));
  float last = -1;
  for (const auto& part : {data->train, data->validation, data->test}) {
    const auto split = read_all(*part);
    REQUIRE(split.ok());
    const auto x = split->x[0].values<float>();
    REQUIRE(!x.empty());
    CHECK(x.front() > last);
    last = x.back();
  }
  CHECK(last == 199);
}

TEST_CASE("csv: windows that cannot be cut say why") {
  const TempFolder folder;
  const std::string rows = "a,b\n1,2\n3,4\n";
  CHECK(has(message(open_text(folder, rows, "?window=3")),
            "expected 3 rows for one window, found 2"));
  CHECK(has(message(open_text(folder, rows, "?step=3")), "expected window=ROWS"));
  CHECK(has(message(open_text(folder, rows, "?columns=a,c")), "no column 'c'"));
  CHECK(has(message(open_text(folder, rows, "?window=2&label=none")), "too few for three parts"));
}

}  // namespace ew::train
