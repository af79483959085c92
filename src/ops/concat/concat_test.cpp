#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {

TEST_CASE("concat: every facet agrees with the reference") {
  check_op(ops::kConcat,
           {{.why = "last axis", .in = {{2, 3}, {2, 1}, {2, 4}}},
            {.why = "first axis", .in = {{1, 3}, {2, 3}}, .attrs = {{"axis", int64_t{0}}}},
            {.why = "middle axis, an empty part",
             .in = {{2, 2, 3}, {2, 0, 3}, {2, 1, 3}},
             .attrs = {{"axis", int64_t{1}}}},
            {.why = "a single input", .in = {{2, 3}}}});
}

TEST_CASE("concat: puts rows side by side") {
  const auto y = run(ops::kConcat, {tensor({2, 1}, {1, 4}), tensor({2, 2}, {2, 3, 5, 6})});
  CHECK(all_near(y[0], {1, 2, 3, 4, 5, 6}));
}

TEST_CASE("concat: an unknown size along the axis makes the sum unknown") {
  const auto y =
      infer_shapes(ops::kConcat, {{kUnknown, kUnknown, 3}, {4, 2, 3}}, {{"axis", int64_t{1}}});
  REQUIRE(y.ok());
  CHECK((*y)[0] == Shape{4, kUnknown, 3});
}

TEST_CASE("concat: rejects parts that do not fit and says which") {
  const auto y = infer_shapes(ops::kConcat, {{2, 3}, {3, 3}});
  REQUIRE_FALSE(y.ok());
  CHECK(y.error().message ==
        "concat: cannot concatenate float32(2, 3) and float32(3, 3) along axis 1");
  CHECK_FALSE(infer_shapes(ops::kConcat, {{2, 3}, {2, 3}}, {{"axis", int64_t{2}}}).ok());
}

TEST_CASE("concat: int8 parts are brought to the scale of the output") {
  // 10 at scale 0.5 is 5, which is 50 at scale 0.1; 127 at 0.5 is 63.5 and saturates.
  const auto quantised = [](float scale, int32_t zero) {
    return std::make_shared<const ir::QuantParams>(ir::QuantParams{{scale}, {zero}, -1});
  };
  ir::Tensor a = ir::Tensor::from(std::vector<int8_t>{10, 127}, {1, 2});
  a.set_quant(quantised(0.5F, 0));
  ir::Tensor b = ir::Tensor::from(std::vector<int8_t>{7}, {1, 1});
  b.set_quant(quantised(0.1F, 2));
  ir::Tensor y(DType::kI8, {1, 3});
  y.set_quant(quantised(0.1F, 0));
  const ir::ConstTensorView in[] = {a, b};
  const ir::TensorView out[] = {ir::TensorView(y)};
  ir::evaluate(ops::kConcat, in, out, {{"axis", int64_t{-1}}});
  CHECK(y.values<int8_t>()[0] == 50);
  CHECK(y.values<int8_t>()[1] == 127);
  CHECK(y.values<int8_t>()[2] == 5);
}

}  // namespace ew::testing
