#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

using ir::Tensor;

TEST_CASE("binary: every row agrees with its reference, broadcasting included") {
  const auto check = [](const ir::OpDef& op) {
    const std::string_view name = op.name;
    if (name.starts_with("bit_") || name.starts_with("shift_")) return;  // of integers
    const bool needs_positive = &op == &ops::kPow || &op == &ops::kDiv;
    const double low = needs_positive ? 0.3 : -2;
    check_op(op, {{.why = "alike", .in = {{3, 4}, {3, 4}}, .range = 2, .low = low},
                  {.why = "a row", .in = {{3, 4}, {4}}, .range = 2, .low = low},
                  {.why = "both repeat", .in = {{3, 1, 2}, {4, 1}}, .range = 2, .low = low},
                  {.why = "a scalar", .in = {{}, {2, 2}}, .range = 2, .low = low}});
  };
#define EW_BINARY(name, Name, ...) check(ops::k##Name);
#define EW_COMPARE(name, Name, ...) check(ops::k##Name);
#include "ops/binary/binary.def"
#undef EW_BINARY
#undef EW_COMPARE
}

TEST_CASE("binary: integers divide towards zero, and by zero give zero") {
  const Tensor x = Tensor::from(std::vector<int32_t>{7, -7, 5}, Shape{3});
  const Tensor y = Tensor::from(std::vector<int32_t>{2, 2, 0}, Shape{3});
  CHECK(all_near(run(ops::kDiv, {x, y})[0], {3, -3, 0}));
}

TEST_CASE("binary: remainders have the sign of x, or of y") {
  const Tensor x = Tensor::from(std::vector<int32_t>{7, -7, 7, -7, 5}, Shape{5});
  const Tensor y = Tensor::from(std::vector<int32_t>{3, 3, -3, -3, 0}, Shape{5});
  CHECK(all_near(run(ops::kFmod, {x, y})[0], {1, -1, 1, -1, 0}));
  CHECK(all_near(run(ops::kFloorMod, {x, y})[0], {1, 2, -2, -1, 0}));
  CHECK(all_near(run(ops::kFloorMod, {tensor({2}, {-7.5F, 7.5F}), tensor({2}, {2, -2})})[0],
                 {0.5F, -0.5F}));
}

TEST_CASE("binary: bits of integers; a shift by the width gives 0") {
  const Tensor x = Tensor::from(std::vector<uint8_t>{0xF0, 0x81, 0xFF}, Shape{3});
  const Tensor y = Tensor::from(std::vector<uint8_t>{0x3C, 1, 8}, Shape{3});
  CHECK(all_near(run(ops::kBitAnd, {x, y})[0], {0x30, 1, 8}));
  CHECK(all_near(run(ops::kBitOr, {x, y})[0], {0xFC, 0x81, 0xFF}));
  CHECK(all_near(run(ops::kBitXor, {x, y})[0], {0xCC, 0x80, 0xF7}));
  CHECK(all_near(run(ops::kShiftLeft, {x, y})[0], {0, 2, 0}));
  CHECK(all_near(run(ops::kShiftRight, {x, y})[0], {0, 0x40, 0}));
}

TEST_CASE("binary: integers wrap around instead of trapping") {
  constexpr int32_t kLeast = std::numeric_limits<int32_t>::min();
  const Tensor x = Tensor::from(std::vector<int32_t>{kLeast, kLeast, 6}, Shape{3});
  const Tensor y = Tensor::from(std::vector<int32_t>{-1, 1, -1}, Shape{3});
  const auto first = [](const std::vector<Tensor>& out) { return out[0].values<int32_t>(); };
  CHECK(first(run(ops::kDiv, {x, y}))[0] == kLeast);
  CHECK(first(run(ops::kDiv, {x, y}))[2] == -6);
  CHECK(first(run(ops::kAdd, {x, y}))[0] == std::numeric_limits<int32_t>::max());
  CHECK(first(run(ops::kSub, {x, y}))[1] == std::numeric_limits<int32_t>::max());
  CHECK(first(run(ops::kMul, {x, y}))[0] == kLeast);
  CHECK(first(run(ops::kPow, {x, y}))[2] == 0);
}

TEST_CASE("binary: every integer type is read as what it is") {
  for (const DType dtype : {DType::kI8, DType::kI16, DType::kI32, DType::kI64, DType::kU8,
                            DType::kU16, DType::kU32, DType::kU64}) {
    CAPTURE(dtype_name(dtype));
    const Tensor x = tensor({3}, {7, 3, 2}).cast(dtype);
    const Tensor y = tensor({3}, {2, 3, 5}).cast(dtype);
    CHECK(all_near(run(ops::kAdd, {x, y})[0].cast(DType::kF32), {9, 6, 7}));
    CHECK(all_near(run(ops::kMaximum, {x, y})[0].cast(DType::kF32), {7, 3, 5}));
  }
}

TEST_CASE("binary: rejects shapes and dtypes that differ") {
  CHECK_FALSE(infer_shapes(ops::kAdd, {{2, 3}, {4}}).ok());
  const auto open = infer_shapes(ops::kAdd, {{kUnknown, 3}, {1, 3}});
  REQUIRE(open.ok());
  CHECK((*open)[0] == Shape{kUnknown, 3});
}

}  // namespace
}  // namespace ew::testing
