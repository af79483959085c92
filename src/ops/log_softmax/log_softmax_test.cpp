#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

TEST_CASE("log_softmax: every facet agrees with the reference") {
  check_op(ops::kLogSoftmax,
           {{.why = "default axis", .in = {{2, 10}}},
            {.why = "axis in the middle", .in = {{2, 3, 4}}, .attrs = {{"axis", int64_t{1}}}},
            {.why = "exp() would overflow", .in = {{7}}, .range = 200},
            {.why = "a single class", .in = {{3, 1}}}});
}

TEST_CASE("log_softmax: is the logarithm of softmax") {
  // exp(ln k) = k, so the probabilities of (ln 1, ln 2, ln 5) are (1, 2, 5) / 8.
  const auto y = run(ops::kLogSoftmax, {tensor({3}, {0.F, 0.693147181F, 1.609437912F})});
  CHECK(all_near(y[0], {-2.079441542F, -1.386294361F, -0.470003629F}));
}

TEST_CASE("log_softmax: rejects an axis outside the rank and says which") {
  const auto y = infer_shapes(ops::kLogSoftmax, {{2, 3}}, {{"axis", int64_t{2}}});
  REQUIRE_FALSE(y.ok());
  CHECK(y.error().message.find("axis 2 out of range for rank 2") != std::string::npos);
}

}  // namespace
}  // namespace ew::testing
