#include "formats/keras/nodes.h"

#include <doctest/doctest.h>

#include "formats/json.h"

namespace ew::formats {
namespace {

Result<std::vector<LayerCall>> parse(const char* text) {
  return parse_inbound_nodes(*parse_json(text),
                             [](const std::string& name) { return name.starts_with("layer"); });
}

TEST_CASE("keras nodes: lists, one tensor or several, keywords with tensors among them") {
  const auto calls = parse(R"([[["layer_a", 0, 0, {}]],
                               [["layer_a", 1, 0, {"axis": 1}], ["layer_b", 0, 2, {"axis": 1}]],
                               [["layer_q", 0, 0, {"value": ["layer_v", 0, 1], "word": "x"}]],
                               ["layer_a", 0, 0, {"y": 2.0}]])");
  REQUIRE(calls.ok());
  REQUIRE(calls->size() == 4);
  CHECK(to_json((*calls)[0].args) == R"([{"tensor": 0}])");
  CHECK(to_json((*calls)[1].args) == R"([[{"tensor": 0}, {"tensor": 1}]])");
  CHECK(to_json((*calls)[1].kwargs) == R"({"axis": 1})");
  CHECK((*calls)[1].refs[1].layer == "layer_b");
  CHECK((*calls)[1].refs[1].tensor == 2);
  CHECK(to_json((*calls)[2].kwargs) == R"({"value": {"tensor": 1}, "word": "x"})");
  CHECK((*calls)[2].refs[1].layer == "layer_v");
  CHECK(to_json((*calls)[3].kwargs) == R"({"y": 2.0})");
  CHECK((*calls)[0].is_list_dialect);
}

TEST_CASE("keras nodes: maps hold tensors anywhere") {
  const auto calls = parse(R"([{"args": [[{"class_name": "__keras_tensor__",
      "config": {"keras_history": ["layer_a", 0, 0]}}, 2.5]],
      "kwargs": {"mask": null, "state": {"class_name": "__keras_tensor__",
      "config": {"keras_history": ["layer_b", 0, 1]}}}}])");
  REQUIRE(calls.ok());
  CHECK(to_json((*calls)[0].args) == R"([[{"tensor": 0}, 2.5]])");
  CHECK(to_json((*calls)[0].kwargs) == R"({"mask": null, "state": {"tensor": 1}})");
  CHECK_FALSE((*calls)[0].is_list_dialect);
}

TEST_CASE("keras nodes: nonsense is refused") {
  CHECK_FALSE(parse("7").ok());
  CHECK_FALSE(parse("[7]").ok());
  CHECK_FALSE(parse("[[[1, 2, 3]]]").ok());
  CHECK_FALSE(parse(R"([{"args": 3}])").ok());
  CHECK_FALSE(parse(R"([{"args": [{"class_name": "__keras_tensor__"}]}])").ok());
}

TEST_CASE("keras nodes: ends of a model are flattened, maps by their keys") {
  std::vector<std::string> names;
  const auto refs =
      parse_model_ends(*parse_json(R"({"b": ["layer_x", 0, 0], "a": ["layer_y", 2, 1]})"), &names);
  REQUIRE(refs.ok());
  CHECK(names == std::vector<std::string>{"a", "b"});
  CHECK((*refs)[0].layer == "layer_y");
  CHECK(parse_model_ends(*parse_json(R"(["a", 0, 0])"), nullptr)->size() == 1);
  CHECK(parse_model_ends(*parse_json(R"([["a", 0, 0], ["b", 0, 0]])"), nullptr)->size() == 2);
  CHECK_FALSE(parse_model_ends(*parse_json("3"), nullptr).ok());
}

}  // namespace
}  // namespace ew::formats
