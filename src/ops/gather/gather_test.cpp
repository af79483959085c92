#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

ir::Tensor ids(std::vector<int32_t> values, Shape shape) {
  return ir::Tensor::from(values, std::move(shape));
}

}  // namespace

TEST_CASE("gather: every facet agrees with the reference") {
  check_op(
      ops::kGather,
      {{.why = "a row read twice, one never",
        .in = {{4, 3}, {2, 3}},
        .given = {{1, ids({0, 2, 0, 3, 3, 3}, {2, 3})}}},
       {.why = "numbers instead of rows", .in = {{5}, {3}}, .given = {{1, ids({4, 0, 4}, {3})}}},
       {.why = "a scalar id", .in = {{3, 2}, {}}, .given = {{1, ids({1}, {})}}}});
}

TEST_CASE("gather: ids of any number type, their fraction dropped") {
  const ir::Tensor table = tensor({3, 1}, {10, 20, 30});
  CHECK(all_near(run(ops::kGather, {table, tensor({2}, {1.9F, -0.5F})})[0], {20, 10}));
  CHECK(all_near(run(ops::kGather, {table, ir::Tensor::from(std::vector<int64_t>{2}, {1})})[0],
                 {30}));
  CHECK(all_near(run(ops::kGather, {table, ir::Tensor::from(std::vector<uint8_t>{1}, {1})})[0],
                 {20}));
}

TEST_CASE("gather: an id outside the table gives zeros") {
  const ir::Tensor table = tensor({2, 2}, {1, 2, 3, 4});
  CHECK(all_near(run(ops::kGather, {table, ids({-1, 2, INT32_MIN}, {3})})[0], {0, 0, 0, 0, 0, 0}));
  CHECK(all_near(run(ops::kGather, {table, tensor({3}, {NAN, 1e30F, -1e30F})})[0],
                 {0, 0, 0, 0, 0, 0}));
}

TEST_CASE("gather: rejects a table without rows and bool ids") {
  CHECK_FALSE(infer_shapes(ops::kGather, {{}, {2}}).ok());
  const ir::TensorType table{DType::kF32, {2, 2}, nullptr};
  const ir::TensorType flags{DType::kBool, {2}, nullptr};
  const std::vector<const ir::TensorType*> in = {&table, &flags};
  CHECK_FALSE(ops::kGather.infer(in, {}).ok());
}

TEST_CASE("scatter_add: every facet agrees with the reference") {
  check_op(ops::kScatterAdd, {{.why = "rows that meet",
                               .in = {{3}, {3, 2}},
                               .attrs = {{"rows", int64_t{4}}},
                               .given = {{0, ids({1, 3, 1}, {3})}}}});
}

TEST_CASE("scatter_add: adds what meets and leaves out what is outside") {
  const auto y = run(ops::kScatterAdd, {ids({1, 1, 7, -1}, {4}), tensor({4, 1}, {1, 2, 4, 8})},
                     {{"rows", int64_t{2}}});
  CHECK(all_near(y[0], {0, 3}));
  CHECK_FALSE(infer_shapes(ops::kScatterAdd, {{3}, {2, 2}}, {{"rows", int64_t{2}}}).ok());
}

}  // namespace ew::testing
