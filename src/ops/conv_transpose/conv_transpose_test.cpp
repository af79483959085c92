#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Ints = std::vector<int64_t>;

TEST_CASE("conv_transpose: every facet agrees with the reference") {
  check_op(
      ops::kConvTranspose,
      {{.why = "one dimension", .in = {{2, 5, 3}, {3, 4, 3}, {4}}},
       {.why = "same, stride 2",
        .in = {{1, 4, 3, 2}, {3, 3, 5, 2}, {5}},
        .attrs = {{"padding", std::string("same")}, {"strides", Ints{2, 2}}}},
       {.why = "stride above the kernel",
        .in = {{1, 3, 3, 2}, {2, 2, 1, 2}},
        .attrs = {{"strides", Ints{3, 3}}}},
       {.why = "output padding",
        .in = {{1, 4, 4, 3}, {3, 3, 2, 3}},
        .attrs = {{"padding", std::string("same")},
                  {"strides", Ints{2, 2}},
                  {"output_padding", Ints{1, 1}}}},
       {.why = "dilated", .in = {{1, 4, 4, 2}, {2, 3, 2, 2}}, .attrs = {{"dilations", Ints{3, 2}}}},
       {.why = "three dimensions", .in = {{1, 2, 3, 2, 2}, {2, 2, 2, 3, 2}, {3}}}});
}

TEST_CASE("conv_transpose: matches sums done by hand") {
  // Each input adds itself times the kernel [1 10] at its place, two apart.
  const auto y = run(ops::kConvTranspose, {tensor({1, 2, 1}, {1, 2}), tensor({2, 1, 1}, {1, 10})},
                     {{"strides", Ints{2}}});
  CHECK(all_near(y[0], {1, 10, 2, 20}));
}

TEST_CASE("conv_transpose: lengths follow Keras") {
  const auto length = [](int64_t n, int64_t k, int64_t stride, const char* padding, Ints extra) {
    const auto y = infer_shapes(ops::kConvTranspose, {{1, n, 1}, {k, 1, 1}},
                                {{"strides", Ints{stride}},
                                 {"padding", std::string(padding)},
                                 {"output_padding", std::move(extra)}});
    return y.ok() ? (*y)[0][1] : int64_t{-100};
  };
  CHECK(length(5, 3, 2, "valid", {}) == 11);
  CHECK(length(5, 2, 3, "valid", {}) == 15);
  CHECK(length(5, 3, 2, "same", {}) == 10);
  CHECK(length(5, 3, 2, "same", {0}) == 9);
  CHECK(length(5, 3, 2, "same", {1}) == 10);
  CHECK(length(5, 3, 2, "valid", {1}) == 12);
  CHECK(length(5, 3, 2, "valid", {2}) == -100);  // the padding must be less than the stride
  CHECK(length(kUnknown, 3, 2, "same", {}) == kUnknown);
}

}  // namespace
}  // namespace ew::testing
