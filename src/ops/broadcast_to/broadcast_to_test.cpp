#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Ints = std::vector<int64_t>;

TEST_CASE("broadcast_to: every facet agrees with the reference") {
  check_op(ops::kBroadcastTo,
           {{.why = "new leading dimension", .in = {{3}}, .attrs = {{"shape", Ints{2, 3}}}},
            {.why = "ones repeat", .in = {{2, 1, 3}}, .attrs = {{"shape", Ints{2, 4, 3}}}},
            {.why = "a scalar", .in = {{}}, .attrs = {{"shape", Ints{2, 2}}}}});
}

TEST_CASE("broadcast_to: rejects a target that x does not reach") {
  CHECK_FALSE(infer_shapes(ops::kBroadcastTo, {{3}}, {{"shape", Ints{2}}}).ok());
  CHECK_FALSE(infer_shapes(ops::kBroadcastTo, {{3}}, {{"shape", Ints{1}}}).ok());
}

}  // namespace
}  // namespace ew::testing
