#include <doctest/doctest.h>

#include <limits>

#include "testing/op_check.h"

namespace ew::testing {

using ir::Tensor;

TEST_CASE("reduce: every facet agrees with the reference") {
  for (const char* kind : {"sum", "mean", "prod", "max", "min"}) {
    check_op(ops::kReduce,
             {{.why = kind,
               .in = {{2, 3, 4}},
               .attrs = {{"kind", std::string(kind)}, {"axes", std::vector<int64_t>{1}}},
               .has_gradient = false}});
  }
}

TEST_CASE("reduce: integers keep all their bits") {
  // 2^53 + 1 is the first integer that double lacks.
  const int64_t big = (int64_t{1} << 53) + 1;
  const Tensor x = Tensor::from(std::vector<int64_t>{big, 2, -3, 7}, Shape{2, 2});
  const auto of = [&](const char* kind, std::vector<int64_t> axes) {
    const Tensor y = run(ops::kReduce, {x}, {{"kind", std::string(kind)}, {"axes", axes}})[0];
    return std::vector<int64_t>(y.values<int64_t>().begin(), y.values<int64_t>().end());
  };
  CHECK(of("sum", {1}) == std::vector<int64_t>{big + 2, 4});
  CHECK(of("prod", {0}) == std::vector<int64_t>{big * -3, 14});
  CHECK(of("max", {}) == std::vector<int64_t>{big});
  CHECK(of("min", {1}) == std::vector<int64_t>{2, -3});
}

TEST_CASE("reduce: of nothing the result is the neutral element") {
  const Tensor none(DType::kF32, Shape{2, 0});
  const auto of = [&](const char* kind) {
    return run(ops::kReduce, {none},
               {{"kind", std::string(kind)}, {"axes", std::vector<int64_t>{1}}})[0];
  };
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  CHECK(all_near(of("sum"), {0, 0}));
  CHECK(all_near(of("prod"), {1, 1}));
  CHECK(of("max").values<float>()[0] == -kInfinity);
  CHECK(of("min").values<float>()[0] == kInfinity);
}

TEST_CASE("reduce: rejects an unknown kind and sums of bool") {
  CHECK(infer_shapes(ops::kReduce, {{2}}, {{"kind", std::string("median")}}).error().message ==
        "reduce: kind: expected sum, mean, prod, max or min, found 'median'");
}

}  // namespace ew::testing
