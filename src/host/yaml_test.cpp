#include "host/yaml.h"

#include <doctest/doctest.h>

namespace ew::host {
namespace {

std::string message_of(std::string_view text, const YamlLimits& limits = {}) {
  const Result<YamlNode> node = parse_yaml(text, "a.yaml", limits);
  return node.ok() ? "" : node.error().message;
}

TEST_CASE("yaml: a document becomes a tree that knows its lines") {
  const Result<YamlNode> root = parse_yaml("app: pump\nlist: [1, 'two']\nmap:\n  x: ~\n", "a.yaml");
  REQUIRE(root.ok());
  CHECK(root->find("app")->text == "pump");
  REQUIRE(root->find("list")->list.size() == 2);
  CHECK_FALSE(root->find("list")->list[0].is_quoted);
  CHECK(root->find("list")->list[1].is_quoted);
  CHECK(root->find("map")->find("x")->is_null());
  CHECK(to_string(root->entry("map")->place) == "a.yaml:3:1");
  CHECK(root->find("list")->error("wrong").message == "a.yaml:2:7: wrong");
}

TEST_CASE("yaml: a key that stands twice is refused with both lines") {
  CHECK(message_of("a: 1\nb: 2\na: 3\n") ==
        "a.yaml:3:1: 'a' stands here a second time (first: line 1)");
}

TEST_CASE("yaml: syntax errors have line and column") {
  CHECK(message_of("a: [1, 2\n").substr(0, 7) == "a.yaml:");
  CHECK(message_of("a: *nobody\n").find("1:4: the referenced anchor is not defined") !=
        std::string::npos);
}

TEST_CASE("yaml: aliases are resolved and their growth is bounded") {
  const Result<YamlNode> root = parse_yaml("a: &x {n: 1}\nb: *x\n", "a.yaml");
  REQUIRE(root.ok());
  CHECK(root->find("b")->find("n")->text == "1");
  // Nine aliases of nine aliases ...: 9^9 values if nothing stops it.
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c <= 'i'; ++c) {
    bomb += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 9; ++i) bomb += std::string(i > 0 ? "," : "") + "*" + char(c - 1);
    bomb += "]\n";
  }
  CHECK(message_of(bomb).find("aliases make more than") != std::string::npos);
}

TEST_CASE("yaml: depth, size, tags, second documents are limits") {
  CHECK(message_of(std::string(100, '[') + std::string(100, ']')).find("levels") !=
        std::string::npos);
  CHECK(message_of("abcdef", {.max_bytes = 3}).find("at most 3") != std::string::npos);
  CHECK(message_of("a: !!python/object x\n").find("expected no tags") != std::string::npos);
  CHECK(message_of("a: 1\n---\nb: 2\n").find("second one") != std::string::npos);
  CHECK(message_of("? [a]\n: 1\n").find("expected a text as key") != std::string::npos);
  CHECK(parse_yaml("", "a.yaml")->is_null());
}

}  // namespace
}  // namespace ew::host
