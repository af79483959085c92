#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Ints = std::vector<int64_t>;

ir::Attrs range(Ints begin, Ints end, Ints strides = {}) {
  return {{"begin", std::move(begin)}, {"end", std::move(end)}, {"strides", std::move(strides)}};
}

}  // namespace

TEST_CASE("slice: every facet agrees with the reference") {
  check_op(
      ops::kSlice,
      {{.why = "a block", .in = {{4, 5}}, .attrs = range({1, 2}, {3, 5})},
       {.why = "fewer dimensions than the input", .in = {{4, 2, 3}}, .attrs = range({-2}, {4})},
       {.why = "strides", .in = {{7, 5}}, .attrs = range({0, 1}, {7, 5}, {3, 2})},
       {.why = "backwards through the start",
        .in = {{5, 2}},
        .attrs = range({-1}, {INT64_MIN}, {-1})},
       {.why = "backwards by two", .in = {{5}}, .attrs = range({3}, {0}, {-2})},
       {.why = "nothing", .in = {{5}}, .attrs = range({3}, {2})},
       {.why = "everything", .in = {{2, 3}}}});
}

TEST_CASE("slice: takes what Python's slices take") {
  const ir::Tensor x = tensor({6}, {0, 1, 2, 3, 4, 5});
  const auto take = [&](int64_t begin, int64_t end, int64_t stride) {
    return run(ops::kSlice, {x}, range({begin}, {end}, {stride}))[0];
  };
  CHECK(all_near(take(1, 4, 1), {1, 2, 3}));
  CHECK(all_near(take(-2, INT64_MAX, 1), {4, 5}));
  CHECK(all_near(take(-100, 2, 1), {0, 1}));
  CHECK(all_near(take(4, 100, 3), {4}));
  CHECK(all_near(take(-1, INT64_MIN, -2), {5, 3, 1}));
  CHECK(all_near(take(100, 3, -1), {5, 4}));
  CHECK(all_near(take(2, 2, 1), {}));
  CHECK(all_near(take(0, 6, INT64_MAX), {0}));
  CHECK(all_near(take(5, INT64_MIN, INT64_MIN), {5}));
}

TEST_CASE("slice: an element of an open dimension has a known place, a range has not") {
  const auto last = infer_shapes(ops::kSlice, {{2, kUnknown}}, range({0, -1}, {2, INT64_MAX}));
  REQUIRE(last.ok());
  CHECK((*last)[0] == Shape{2, 1});
  const auto tail = infer_shapes(ops::kSlice, {{2, kUnknown}}, range({0, 1}, {2, INT64_MAX}));
  REQUIRE(tail.ok());
  CHECK((*tail)[0] == Shape{2, kUnknown});
}

TEST_CASE("slice: rejects ranges that do not fit the tensor") {
  CHECK_FALSE(infer_shapes(ops::kSlice, {{2}}, range({0, 0}, {1, 1})).ok());
  CHECK_FALSE(infer_shapes(ops::kSlice, {{2}}, range({0}, {1, 1})).ok());
  const auto y = infer_shapes(ops::kSlice, {{2}}, range({0}, {1}, {0}));
  REQUIRE_FALSE(y.ok());
  CHECK(y.error().message == "slice: a stride is 0");
}

TEST_CASE("slice_scatter: every facet agrees with the reference") {
  const auto into = [](Ints shape, ir::Attrs attrs) {
    attrs.set("shape", std::move(shape));
    return attrs;
  };
  check_op(ops::kSliceScatter,
           {{.why = "a block", .in = {{2, 3}}, .attrs = into({4, 5}, range({1, 2}, {3, 5}))},
            {.why = "backwards", .in = {{3}}, .attrs = into({6}, range({-1}, {INT64_MIN}, {-2}))}});
  CHECK_FALSE(infer_shapes(ops::kSliceScatter, {{2}}, into({6}, range({0}, {3}))).ok());
}

}  // namespace ew::testing
