#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Ints = std::vector<int64_t>;

TEST_CASE("dropout: every facet agrees with the reference") {
  std::vector<OpCase> cases;
  for (const char* kind : {"dropout", "alpha_dropout", "gaussian_dropout", "gaussian_noise"}) {
    cases.push_back(
        {.why = kind, .in = {{3, 4, 2}}, .attrs = {{"kind", std::string(kind)}, {"rate", 0.4}}});
  }
  cases.push_back({.why = "whole channels",
                   .in = {{3, 4, 2}},
                   .attrs = {{"noise_shape", Ints{-1, 1, -1}}, {"rate", 0.5}}});
  cases.push_back({.why = "everything", .in = {{3, 4}}, .attrs = {{"rate", 1.0}}});
  cases.push_back({.why = "nothing", .in = {{3, 4}}, .attrs = {{"rate", 0.0}}});
  check_op(ops::kDropout, cases);
}

TEST_CASE("dropout: rejects rates that are no probability") {
  CHECK_FALSE(infer_shapes(ops::kDropout, {{2, 3}}, {{"rate", 1.5}}).ok());
  CHECK_FALSE(infer_shapes(ops::kDropout, {{2, 3}}, {{"rate", -0.1}}).ok());
  CHECK_FALSE(infer_shapes(ops::kDropout, {{2, 3}}, {{"rate", std::nan("")}}).ok());
  CHECK_FALSE(infer_shapes(ops::kDropout, {{2, 3}}, {{"noise_shape", Ints{2, 2}}}).ok());
}

}  // namespace
}  // namespace ew::testing
