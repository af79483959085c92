#include "formats/load.h"

#include <doctest/doctest.h>

#include "base/file.h"
#include "formats/h5_reader.h"
#include "formats/h5_writer.h"
#include "testing/temporary_folder.h"

namespace ew::formats {
namespace {

const std::string kFixtures = std::string(EW_SOURCE_DIR) + "/tests/oracle/fixtures/";

TEST_CASE("load: says what is wrong with a file that holds no model") {
  const testing::TemporaryFolder folder;
  CHECK(load_model(folder.path("none.h5")).error().code == ErrorCode::kNotFound);
  CHECK(load_model(folder.path()).error().code == ErrorCode::kUnsupported);
  REQUIRE(write_file_atomic(folder.path("empty.h5"), std::string()).ok());
  CHECK_FALSE(load_model(folder.path("empty.h5")).ok());
  REQUIRE(write_file_atomic(folder.path("text.txt"), std::string("hello")).ok());
  CHECK(load_model(folder.path("text.txt")).error().code == ErrorCode::kUnsupported);
  REQUIRE(write_file_atomic(folder.path("a.json"), std::string("{}")).ok());
  CHECK(load_model(folder.path("a.json")).error().message.find("without weights") !=
        std::string::npos);
  REQUIRE(write_file_atomic(folder.path("a.keras"), std::string("PK\3\4garbage")).ok());
  CHECK_FALSE(load_model(folder.path("a.keras")).ok());
}

TEST_CASE("load: a weights-only file asks for its architecture, and takes it from any model") {
  const std::string weights = kFixtures + "h5/k3_weights_h5/model.weights.h5";
  const auto alone = load_model(weights);
  REQUIRE_FALSE(alone.ok());
  CHECK(alone.error().message.find("--architecture") != std::string::npos);
  const auto with = load_model(weights, {kFixtures + "h5/k3_weights_h5/architecture.json"});
  REQUIRE_MESSAGE(with.ok(), with.error().message);
  CHECK(with->graph.parameters().size() == 8);
}

TEST_CASE("load: a weight of the wrong shape is named with both shapes") {
  const testing::TemporaryFolder folder;
  auto tree = read_h5(kFixtures + "layers/dense_nobias/model.k3.h5");
  REQUIRE(tree.ok());
  const std::vector<uint8_t> bytes(7 * 4 * 4);
  tree->set_dataset("model_weights/dense/sequential/dense/kernel",
                    H5Value::numbers(DType::kF32, {4, 7}, bytes));
  REQUIRE(write_h5(folder.path("m.h5"), *tree).ok());
  const auto model = load_model(folder.path("m.h5"));
  REQUIRE_FALSE(model.ok());
  for (const char* part : {"'dense'", "'kernel'", "(7, 4)", "(4, 7)"}) {
    CAPTURE(model.error().message);
    CHECK(model.error().message.find(part) != std::string::npos);
  }
}

TEST_CASE("load: a layer whose weights are not in the file is named") {
  const testing::TemporaryFolder folder;
  auto tree = read_h5(kFixtures + "layers/dense_nobias/model.k3.h5");
  REQUIRE(tree.ok());
  tree->make_group("model_weights").set_attribute("layer_names", H5Value::string_list({}));
  REQUIRE(write_h5(folder.path("m.h5"), *tree).ok());
  const auto model = load_model(folder.path("m.h5"));
  REQUIRE_FALSE(model.ok());
  CHECK(model.error().message.find("'dense'") != std::string::npos);
}

}  // namespace
}  // namespace ew::formats
