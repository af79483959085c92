#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {

TEST_CASE("iota: counts the places of one dimension") {
  const ir::Tensor x(DType::kF32, {2, 4});
  const auto y = run(ops::kIota, {x}, {{"axis", int64_t{1}}, {"dtype", std::string("float32")}});
  CHECK(all_near(y[0], {0, 1, 2, 3}));
  CHECK(run(ops::kIota, {x})[0].shape() == Shape{2});
}

TEST_CASE("iota: an open dimension stays open") {
  const auto y = infer_shapes(ops::kIota, {{kUnknown, 3}});
  REQUIRE(y.ok());
  CHECK((*y)[0] == Shape{kUnknown});
  CHECK_FALSE(infer_shapes(ops::kIota, {{2}}, {{"axis", int64_t{1}}}).ok());
  CHECK_FALSE(infer_shapes(ops::kIota, {{2}}, {{"dtype", std::string("int3")}}).ok());
}

}  // namespace ew::testing
