#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

// Two boxes that overlap by 9 / 11 of their union, and one apart.
ir::Tensor boxes() { return tensor({1, 3, 4}, {0, 0, 1, 1, 0, 0.1F, 1, 1.1F, 0, 5, 1, 6}); }

std::vector<int64_t> places(const ir::Tensor& b, const ir::Tensor& scores, const ir::Attrs& attrs) {
  const auto y = run(ops::kNonMaxSuppression, {b, scores}, attrs);
  const auto all = y[0].values<int64_t>();
  const auto count = static_cast<size_t>(y[1].values<int64_t>()[0]);
  for (size_t i = 3 * count; i < all.size(); ++i) CHECK(all[i] == -1);
  return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(3 * count)};
}

TEST_CASE("non_max_suppression: keeps the better of two boxes that overlap, per class") {
  const auto scores = tensor({1, 2, 3}, {0.6F, 0.7F, 0.5F, 0.9F, 0.1F, 0.95F});
  CHECK(places(boxes(), scores, {{"max_output", int64_t{3}}, {"max_overlap", 0.5}}) ==
        std::vector<int64_t>{0, 0, 1, 0, 0, 2, 0, 1, 2, 0, 1, 0});
  // Above 9 / 11 nothing is left out.
  CHECK(places(boxes(), scores, {{"max_output", int64_t{3}}, {"max_overlap", 0.82}}).size() == 18);
  CHECK(places(boxes(), scores,
               {{"max_output", int64_t{1}}, {"max_overlap", 0.5}, {"min_score", 0.9}}) ==
        std::vector<int64_t>{0, 1, 2});
}

TEST_CASE("non_max_suppression: corners in any order and centres are the same boxes") {
  const auto scores = tensor({1, 1, 3}, {0.6F, 0.7F, 0.5F});
  const ir::Attrs attrs{{"max_output", int64_t{3}}, {"max_overlap", 0.5}};
  const auto expected = places(boxes(), scores, attrs);
  const auto flipped = tensor({1, 3, 4}, {1, 1, 0, 0, 0, 1.1F, 1, 0.1F, 1, 5, 0, 6});
  CHECK(places(flipped, scores, attrs) == expected);
  const auto centres = tensor({1, 3, 4}, {0.5F, 0.5F, 1, 1, 0.6F, 0.5F, 1, 1, 5.5F, 0.5F, 1, 1});
  ir::Attrs with_centres = attrs;
  with_centres.set("center", true);
  CHECK(places(centres, scores, with_centres) == expected);
}

TEST_CASE("non_max_suppression: refuses what are no boxes") {
  CHECK_FALSE(infer_shapes(ops::kNonMaxSuppression, {{1, 3, 5}, {1, 1, 3}}).ok());
  CHECK_FALSE(infer_shapes(ops::kNonMaxSuppression, {{1, 3, 4}, {1, 1, 4}}).ok());
  CHECK_FALSE(
      infer_shapes(ops::kNonMaxSuppression, {{1, 3, 4}, {1, 1, 3}}, {{"max_overlap", 2.0}}).ok());
}

}  // namespace
}  // namespace ew::testing
