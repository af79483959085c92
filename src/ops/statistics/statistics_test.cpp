#include <doctest/doctest.h>

#include <cmath>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

ir::Attrs names(const char* list) { return {{"names", std::string(list)}}; }

TEST_CASE("statistics: every facet agrees with the reference") {
  check_op(
      ops::kStatistics,
      {{.why = "all of them",
        .in = {{3, 2, 50}},
        .attrs = names("mean,var,std,min,max,range,peak,abs_mean,energy,rms,crest,shape,"
                       "impulse,skewness,kurtosis,zero_crossings,median,iqr,q5,q97.5"),
        .slack = 20,  // quotients of moments carry f16 rounding of x fourfold
        .has_gradient = false},
       {.why = "one element", .in = {{2, 1}}, .attrs = names("mean, std"), .has_gradient = false}});
}

TEST_CASE("statistics: match goldens computed by hand") {
  // x = (-1, 1, 3, 5): mean 2, deviations (-3, -1, 1, 3): variance 5, no skew,
  // fourth moment (81 + 1 + 1 + 81) / 4 = 41, so kurtosis 41 / 25 - 3. Energy 36, so rms 3.
  const auto y = run(ops::kStatistics, {tensor({4}, {-1, 1, 3, 5})},
                     names("mean,var,skewness,kurtosis,rms,crest,zero_crossings,median,q25,iqr"));
  CHECK(all_near(y[0], {2, 5, 0, 41.F / 25 - 3, 3, 5.F / 3, 0.25F, 2, 0.5F, 3}));
}

TEST_CASE("statistics: a constant window has no shape, and NaN stays NaN") {
  const auto y =
      run(ops::kStatistics, {tensor({3}, {0, 0, 0})}, names("std,crest,skewness,kurtosis"));
  CHECK(all_near(y[0], {0, 0, 0, 0}));
  const auto z = run(ops::kStatistics, {tensor({2}, {0, NAN})}, names("mean,median,rms"));
  for (const float v : z[0].values<float>()) CHECK(std::isnan(v));
}

TEST_CASE("statistics: an unknown name is refused with those that are known") {
  const auto refused = infer_shapes(ops::kStatistics, {{3}}, names("mean,avg"));
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message.find("found 'avg'") != std::string::npos);
  CHECK_FALSE(infer_shapes(ops::kStatistics, {{3}}, names("q101")).ok());
  CHECK_FALSE(infer_shapes(ops::kStatistics, {{3}}, names("q5x")).ok());
  CHECK_FALSE(infer_shapes(ops::kStatistics, {{3, 0}}, names("mean")).ok());
}

}  // namespace
}  // namespace ew::testing
