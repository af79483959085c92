#include <doctest/doctest.h>

#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Ints = std::vector<int64_t>;

TEST_CASE("resize: every facet agrees with the reference") {
  for (const char* method : {"bilinear", "nearest", "bicubic"}) {
    check_op(ops::kResize, {{.why = method,
                             .in = {{2, 4, 5, 3}},
                             .attrs = {{"size", Ints{7, 3}}, {"method", std::string(method)}}},
                            {.why = "one pixel",
                             .in = {{1, 1, 1, 2}},
                             .attrs = {{"size", Ints{2, 3}}, {"method", std::string(method)}}}});
  }
}

TEST_CASE("resize: bilinear weighs by the distance of half-pixel centres") {
  // Twice as many: centres at -0.25, 0.25, 0.75, 1.25 of the two pixels.
  const auto y = run(ops::kResize, {tensor({1, 1, 2, 1}, {0, 4})}, {{"size", Ints{1, 4}}});
  CHECK(all_near(y[0], {0, 1, 3, 4}));
}

TEST_CASE("resize: a constant image stays constant") {
  const auto x = tensor({1, 3, 3, 1}, std::vector<float>(9, 2.5F));
  for (const char* method : {"bilinear", "nearest", "bicubic"}) {
    const auto y = run(ops::kResize, {x}, {{"size", Ints{5, 4}}, {"method", std::string(method)}});
    CHECK(all_near(y[0], std::vector<float>(20, 2.5F)));
  }
}

TEST_CASE("resize: rejects sizes, methods and ranks that are none") {
  CHECK_FALSE(infer_shapes(ops::kResize, {{1, 3, 3, 1}}, {{"size", Ints{0, 2}}}).ok());
  CHECK_FALSE(infer_shapes(ops::kResize, {{3, 3, 1}}, {{"size", Ints{2, 2}}}).ok());
  CHECK_FALSE(infer_shapes(ops::kResize, {{1, 0, 3, 1}}, {{"size", Ints{2, 2}}}).ok());
  const auto unknown =
      refusal({.class_name = "Resizing",
               .config = Config::Map{{"height", 2}, {"width", 2}, {"interpolation", "lanczos3"}},
               .x = random_tensor({1, 3, 3, 1})});
  CHECK(unknown.find("expected bilinear, nearest or bicubic, found 'lanczos3'") !=
        std::string::npos);
}

TEST_CASE("resize: CenterCrop of a smaller image resizes its largest part of the right shape") {
  // 2 x 6 to 4 x 4: the middle 2 x 2, doubled.
  std::vector<float> values(12);
  for (size_t i = 0; i < 12; ++i) values[i] = static_cast<float>(i);
  const auto x = tensor({1, 2, 6, 1}, values);
  const auto y = run_layer(
      {.class_name = "CenterCrop", .config = Config::Map{{"height", 4}, {"width", 4}}, .x = x});
  const auto part = tensor({1, 2, 2, 1}, {2, 3, 8, 9});
  const auto expected = run(ops::kResize, {part}, {{"size", Ints{4, 4}}})[0];
  const auto want = expected.values<float>();
  CHECK(all_near(y, {want.begin(), want.end()}));
}

}  // namespace
}  // namespace ew::testing
