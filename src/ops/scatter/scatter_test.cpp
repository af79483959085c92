#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {

using ir::Tensor;

namespace {

Tensor ids(std::vector<int64_t> values) {
  const auto n = static_cast<int64_t>(values.size());
  return Tensor::from(values, Shape{n});
}

}  // namespace

TEST_CASE("scatter: sets rows; of several the last one stays, ids outside change nothing") {
  const Tensor table = tensor({3, 2}, {1, 2, 3, 4, 5, 6});
  const Tensor rows = tensor({4, 2}, {10, 11, 20, 21, 30, 31, 40, 41});
  const auto y = run(ops::kScatter, {table, ids({0, 2, 0, 7}), rows});
  CHECK(all_near(y[0], {30, 31, 3, 4, 20, 21}));
}

TEST_CASE("scatter: adds, multiplies and compares") {
  const Tensor table = tensor({3}, {1, 2, 3});
  const Tensor updates = tensor({3}, {5, -1, 2});
  const auto of = [&](const char* kind) {
    return run(ops::kScatter, {table, ids({1, 1, 0}), updates}, {{"kind", std::string(kind)}})[0];
  };
  CHECK(all_near(of("add"), {3, 6, 3}));
  CHECK(all_near(of("mul"), {2, -10, 3}));
  CHECK(all_near(of("max"), {2, 5, 3}));
  CHECK(all_near(of("min"), {1, -1, 3}));
}

TEST_CASE("scatter: rejects updates of another shape") {
  CHECK_FALSE(infer_shapes(ops::kScatter, {{3, 2}, {4}, {4, 3}}).ok());
}

}  // namespace ew::testing
