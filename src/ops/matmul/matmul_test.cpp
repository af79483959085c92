#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

TEST_CASE("matmul: every facet agrees with the reference") {
  std::vector<OpCase> cases;
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      cases.push_back({.why = str("transposed ", ta, " ", tb),
                       .in = {ta ? Shape{4, 3} : Shape{3, 4}, tb ? Shape{5, 4} : Shape{4, 5}},
                       .attrs = {{"transpose_a", ta}, {"transpose_b", tb}}});
    }
  }
  cases.push_back({.why = "batched", .in = {{2, 3, 4, 5}, {2, 3, 5, 2}}});
  cases.push_back({.why = "broadcast batch", .in = {{2, 1, 4, 5}, {3, 5, 2}}});
  cases.push_back({.why = "a matrix against a batch", .in = {{4, 5}, {3, 5, 2}}});
  check_op(ops::kMatmul, cases);
}

TEST_CASE("matmul: matches a product done by hand") {
  const auto c = run(ops::kMatmul, {tensor({2, 2}, {1, 2, 3, 4}), tensor({2, 2}, {5, 6, 7, 8})});
  CHECK(all_near(c[0], {19, 22, 43, 50}));
}

TEST_CASE("matmul: operators of several numbers reject inputs of different dtypes") {
  const auto refuses = [](const ir::OpDef& op, std::vector<Shape> shapes, size_t odd) {
    std::vector<ir::TensorType> types;
    for (Shape& shape : shapes) types.push_back({DType::kF32, std::move(shape), nullptr});
    types[odd].dtype = DType::kF64;
    std::vector<const ir::TensorType*> in;
    for (const ir::TensorType& type : types) in.push_back(&type);
    ir::Attrs attrs;
    for (const ir::AttrDef& def : op.attrs) attrs.set(def.name, def.default_value);
    const auto inferred = op.infer(in, attrs);
    REQUIRE_FALSE(inferred.ok());
    CHECK(inferred.error().message.find("different dtypes") != std::string::npos);
  };
  refuses(ops::kMatmul, {{2, 3}, {3, 4}}, 1);
  refuses(ops::kDense, {{2, 3}, {3, 4}, {4}}, 2);
  refuses(ops::kConv, {{1, 5, 5, 2}, {3, 3, 2, 4}, {4}}, 1);
  refuses(ops::kDepthwiseConv, {{1, 5, 5, 2}, {3, 3, 2, 1}, {2}}, 2);
  refuses(ops::kConvTranspose, {{1, 5, 5, 2}, {3, 3, 4, 2}, {4}}, 1);
  refuses(ops::kBatchNorm, {{2, 3}, {3}, {3}, {3}, {3}}, 4);
}

TEST_CASE("matmul: rejects inner dimensions that differ and says which") {
  const auto c = infer_shapes(ops::kMatmul, {{2, 3}, {4, 5}});
  REQUIRE_FALSE(c.ok());
  CHECK(c.error().message.find("inner dimensions differ: (2, 3) times (4, 5)") !=
        std::string::npos);
  CHECK_FALSE(infer_shapes(ops::kMatmul, {{3}, {3, 2}}).ok());
  CHECK_FALSE(infer_shapes(ops::kMatmul, {{2, 2, 3}, {3, 3, 2}}).ok());
}

}  // namespace
}  // namespace ew::testing
