#include "formats/save.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "base/file.h"
#include "formats/h5_reader.h"
#include "formats/json.h"
#include "formats/load.h"
#include "testing/temporary_folder.h"

namespace ew::formats {
namespace {

const std::string kFixtures = std::string(EW_SOURCE_DIR) + "/tests/oracle/fixtures/";

ir::Model load(const std::string& path) {
  auto model = load_model(path);
  REQUIRE_MESSAGE(model.ok(), model.error().message);
  return std::move(*model);
}

SaveReport save(const ir::Model& model, const std::string& path, const SaveOptions& options = {}) {
  const auto report = save_model(model, path, options);
  REQUIRE_MESSAGE(report.ok(), report.error().message);
  return *report;
}

bool same_bits(const ir::Tensor& a, const ir::Tensor& b) {
  return a.type() == b.type() &&
         (a.size_bytes() == 0 || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

// All weights as one sorted list of bytes: names and order may differ between layouts.
std::vector<std::string> weight_bytes(const ir::Graph& graph) {
  std::vector<std::string> out;
  for (const ir::ValueId id : graph.parameters()) {
    const ir::Tensor& data = graph.value(id).data;
    out.emplace_back(static_cast<const char*>(data.data()), data.size_bytes());
  }
  std::sort(out.begin(), out.end());
  return out;
}

TEST_CASE("keras save: every layout brings back weights, slots and compiled state") {
  const testing::TemporaryFolder folder;
  for (const char* file :
       {"fit/fit_plain_k3/optimized_model.k3.h5", "fit/fit_plain_k2/optimized_model.k2.h5"}) {
    const ir::Model model = load(kFixtures + file);
    REQUIRE(model.compiled.has_value());
    REQUIRE_FALSE(model.compiled->slots.empty());
    for (const KerasVersion version : {KerasVersion::kBoth, KerasVersion::kKeras2}) {
      CAPTURE(file);
      SaveOptions options;
      options.keras_version = version;
      save(model, folder.path("m.h5"), options);
      const ir::Model again = load(folder.path("m.h5"));
      CHECK(weight_bytes(again.graph) == weight_bytes(model.graph));
      REQUIRE(again.compiled.has_value());
      CHECK(again.compiled->iterations == model.compiled->iterations);
      CHECK(again.compiled->slots.size() == model.compiled->slots.size());
      for (const auto& [name, slot] : model.compiled->slots) {
        CHECK(same_bits(again.compiled->slots.at(name), slot));
      }
      CHECK(again.compiled->loss == model.compiled->loss);
      CHECK(again.compiled->metrics == model.compiled->metrics);
    }
    save(model, folder.path("m.keras"));
    const ir::Model zip = load(folder.path("m.keras"));
    CHECK(zip.architecture.generation == ir::KerasGeneration::kKeras3);
    CHECK(weight_bytes(zip.graph) == weight_bytes(model.graph));
    REQUIRE(zip.compiled.has_value());
    CHECK(zip.compiled->slots.size() == model.compiled->slots.size());
    CHECK(zip.compiled->iterations == model.compiled->iterations);
  }
}

TEST_CASE("keras save: version 3 leaves the optimizer's variables out and says so") {
  const testing::TemporaryFolder folder;
  const ir::Model model = load(kFixtures + "fit/fit_plain_k3/optimized_model.k3.h5");
  SaveOptions options;
  options.keras_version = KerasVersion::kKeras3;
  const SaveReport report = save(model, folder.path("m.h5"), options);
  CHECK_FALSE(report.notes.empty());
  const auto tree = read_h5(folder.path("m.h5"));
  REQUIRE(tree.ok());
  CHECK(tree->find_group("optimizer_weights") == nullptr);
  CHECK(tree->find_attribute("training_config") != nullptr);
}

TEST_CASE("keras save: models inside models are unfolded, shared ones too") {
  const testing::TemporaryFolder folder;
  for (const char* name : {"model_nested_shared", "model_nested_seq"}) {
    const ir::Model model = load(kFixtures + "layers/" + name + "/model.k3.h5");
    save(model, folder.path("m.h5"));
    const ir::Model again = load(folder.path("m.h5"));
    CHECK(weight_bytes(again.graph) == weight_bytes(model.graph));
    for (const Config& layer : again.architecture.config["config"]["layers"].as_list()) {
      CHECK_FALSE(layer["config"].has("layers"));
    }
  }
}

TEST_CASE("keras save: long lists of names are split as Keras splits them") {
  const testing::TemporaryFolder folder;
  const ir::Model model = load(kFixtures + "h5/weight_names_chunked/model.k2.h5");
  SaveOptions options;
  options.keras_version = KerasVersion::kKeras2;
  save(model, folder.path("m.h5"), options);
  const auto tree = read_h5(folder.path("m.h5"));
  const auto original = read_h5(kFixtures + "h5/weight_names_chunked/model.k2.h5");
  REQUIRE(tree.ok());
  REQUIRE(original.ok());
  const std::string layer = "model_weights/inner" + std::string(60, 'c');
  const H5Group* mine = tree->find_group(layer);
  const H5Group* keras = original->find_group(layer);
  REQUIRE(mine != nullptr);
  REQUIRE(keras != nullptr);
  CHECK(mine->find_attribute("weight_names") == nullptr);
  CHECK(mine->find_attribute("weight_names0") != nullptr);
  CHECK(weight_bytes(load(folder.path("m.h5")).graph) == weight_bytes(model.graph));
}

TEST_CASE("keras save: a quantisation record comes back bit for bit") {
  const testing::TemporaryFolder folder;
  ir::Model model = load(kFixtures + "layers/dense_nobias/model.k3.h5");
  ir::QuantizationRecord record;
  record.profile = ir::Int8Profile::kXnnpack;
  record.values["dense"] = {{0.1f}, {-3}, -1};
  record.values["dense/kernel"] = {{1e-30f, 3.4e38f, 1.f / 3, 0.7f}, {0, 0, 0, 0}, 1};
  model.quantization = record;
  for (const char* file : {"q.h5", "q.keras"}) {
    save(model, folder.path(file));
    const ir::Model again = load(folder.path(file));
    REQUIRE(again.quantization.has_value());
    CHECK(again.quantization->profile == record.profile);
    CHECK(again.quantization->values == record.values);
  }
}

TEST_CASE("keras save: refuses what it cannot write") {
  const testing::TemporaryFolder folder;
  const ir::Model model = load(kFixtures + "layers/dense_nobias/model.k3.h5");
  CHECK(save_model(model, folder.path("m.pt")).error().code == ErrorCode::kInvalidArgument);
  CHECK(save_model(ir::Model{}, folder.path("m.h5")).error().code == ErrorCode::kUnsupported);
  CHECK_FALSE(save_model(model, folder.path("missing/m.h5")).ok());
  ir::Model pruned = model;
  for (const ir::ValueId id : pruned.graph.parameters()) {
    pruned.graph.value(id).data = ir::Tensor(DType::kF32, {1, 1});
    pruned.graph.value(id).type = pruned.graph.value(id).data.type();
  }
  const auto refused = save_model(pruned, folder.path("m.h5"));
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message.find("'dense'") != std::string::npos);
  CHECK_FALSE(file_exists(folder.path("m.h5")));
}

}  // namespace
}  // namespace ew::formats
