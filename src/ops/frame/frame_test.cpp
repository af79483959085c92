#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

TEST_CASE("frame: every facet agrees with the reference") {
  check_op(ops::kFrame,
           {{.why = "half overlap",
             .in = {{2, 11}},
             .attrs = {{"length", int64_t{4}}, {"step", int64_t{2}}}},
            {.why = "gaps", .in = {{11}}, .attrs = {{"length", int64_t{2}}, {"step", int64_t{3}}}},
            {.why = "an inner axis",
             .in = {{2, 9, 3}},
             .attrs = {{"axis", int64_t{1}}, {"length", int64_t{3}}, {"step", int64_t{2}}}},
            {.why = "one frame",
             .in = {{2, 5}},
             .attrs = {{"length", int64_t{5}}, {"step", int64_t{7}}}}});
}

TEST_CASE("overlap_add: every facet agrees with the reference") {
  check_op(ops::kOverlapAdd,
           {{.why = "half overlap", .in = {{2, 4, 4}}, .attrs = {{"step", int64_t{2}}}},
            {.why = "room behind",
             .in = {{3, 4}},
             .attrs = {{"step", int64_t{2}}, {"size", int64_t{13}}}},
            {.why = "an inner axis",
             .in = {{2, 3, 2, 3}},
             .attrs = {{"axis", int64_t{1}}, {"step", int64_t{1}}}}});
}

TEST_CASE("frame: cuts and adds as written") {
  const auto y = run(ops::kFrame, {tensor({6}, {1, 2, 3, 4, 5, 6})},
                     {{"length", int64_t{3}}, {"step", int64_t{2}}});
  CHECK(y[0].shape() == Shape{2, 3});
  CHECK(all_near(y[0], {1, 2, 3, 3, 4, 5}));
  CHECK(all_near(run(ops::kOverlapAdd, {y[0]}, {{"step", int64_t{2}}})[0], {1, 2, 6, 4, 5}));
}

TEST_CASE("frame: refuses a signal shorter than a frame") {
  CHECK_FALSE(infer_shapes(ops::kFrame, {{3}}, {{"length", int64_t{4}}}).ok());
  CHECK_FALSE(
      infer_shapes(ops::kFrame, {{3}}, {{"length", int64_t{2}}, {"step", int64_t{0}}}).ok());
  CHECK_FALSE(infer_shapes(ops::kOverlapAdd, {{3}}, {{"axis", int64_t{-1}}}).ok());
  CHECK_FALSE(infer_shapes(ops::kOverlapAdd, {{3, 4}}, {{"size", int64_t{5}}}).ok());
}

}  // namespace
}  // namespace ew::testing
