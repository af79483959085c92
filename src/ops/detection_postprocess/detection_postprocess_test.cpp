#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

// Anchors of height and width 1 at y = 0.5, 0.5 and 5: without offsets the first two are one box.
const std::vector<float> kAnchors{0.5F, 0.5F, 1, 1, 0.5F, 0.5F, 1, 1, 5, 0.5F, 1, 1};

std::vector<ir::Tensor> detect(const std::vector<float>& scores, int64_t columns,
                               const ir::Attrs& attrs) {
  return run(ops::kDetectionPostprocess,
             {tensor({1, 3, 4}, std::vector<float>(12, 0.F)), tensor({1, 3, columns}, scores),
              tensor({3, 4}, kAnchors)},
             attrs);
}

TEST_CASE("detection_postprocess: the fast way takes each box once, by its best class") {
  const auto y = detect({0.9F, 0.2F, 0.8F, 0.95F, 0.1F, 0.3F}, 2,
                        {{"max_detections", int64_t{3}}, {"num_classes", int64_t{2}}});
  CHECK(all_near(y[0], {0, 0, 1, 1, 4.5F, 0, 5.5F, 1, 0, 0, 0, 0}));
  CHECK(all_near(y[1], {1, 1, 0}));
  CHECK(all_near(y[2], {0.95F, 0.3F, 0}));
  CHECK(all_near(y[3], {2}));
}

TEST_CASE("detection_postprocess: the regular way suppresses within a class alone") {
  const auto y = detect({0.9F, 0.2F, 0.8F, 0.95F, 0.1F, 0.3F}, 2,
                        {{"max_detections", int64_t{3}},
                         {"num_classes", int64_t{2}},
                         {"min_score", 0.25},
                         {"regular", true}});
  CHECK(all_near(y[1], {1, 0, 1}));
  CHECK(all_near(y[2], {0.95F, 0.9F, 0.3F}));
  CHECK(all_near(y[3], {3}));
}

TEST_CASE("detection_postprocess: offsets are scaled; a background column is left out") {
  // y: 2 / 2 * 1 + 0.5 = 1.5; height: exp(ln 2) * 1 = 2, so the box is 0.5 to 2.5.
  const auto y = run(ops::kDetectionPostprocess,
                     {tensor({1, 1, 5}, {2, 0, 1.3862944F, 0, 77}), tensor({1, 1, 2}, {0.9F, 0.6F}),
                      tensor({1, 4}, {0.5F, 0.5F, 1, 1})},
                     {{"scale", std::vector<double>{2, 1, 2, 1}}});
  CHECK(all_near(y[0], {0.5F, 0, 2.5F, 1}));
  CHECK(all_near(y[2], {0.6F}));
}

TEST_CASE("detection_postprocess: refuses what does not fit together") {
  const std::vector<Shape> good{{1, 3, 4}, {1, 3, 2}, {3, 4}};
  const ir::Attrs two{{"num_classes", int64_t{2}}};
  CHECK(infer_shapes(ops::kDetectionPostprocess, good, two).ok());
  CHECK_FALSE(infer_shapes(ops::kDetectionPostprocess, {{1, 3, 4}, {1, 3, 2}, {2, 4}}, two).ok());
  CHECK_FALSE(infer_shapes(ops::kDetectionPostprocess, good, {{"num_classes", int64_t{5}}}).ok());
  CHECK_FALSE(infer_shapes(ops::kDetectionPostprocess, good,
                           {{"num_classes", int64_t{2}}, {"max_overlap", 0.0}})
                  .ok());
  CHECK_FALSE(infer_shapes(ops::kDetectionPostprocess, good,
                           {{"num_classes", int64_t{2}}, {"max_detections", int64_t{1} << 40}})
                  .ok());
}

}  // namespace
}  // namespace ew::testing
