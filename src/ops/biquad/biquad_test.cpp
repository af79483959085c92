#include <doctest/doctest.h>

#include <cmath>

#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

using Numbers = std::vector<double>;
// Two stable sections with a0 other than 1 in the second.
const Numbers kSections{0.2, 0.3, 0.1, 1, -0.5, 0.2, 0.8, -0.4, 0.2, 2, 0.6, 0.4};

TEST_CASE("biquad: every facet agrees with the reference") {
  check_op(ops::kBiquad,
           {{.why = "two sections", .in = {{3, 20}}, .attrs = {{"sections", kSections}}},
            {.why = "an empty signal", .in = {{3, 0}}, .attrs = {{"sections", kSections}}}});
}

TEST_CASE("biquad: matches a golden computed by hand") {
  // y[t] = x[t] + y[t-1] / 2 of an impulse halves.
  const auto y =
      run(ops::kBiquad, {tensor({4}, {1, 0, 0, 0})}, {{"sections", Numbers{1, 0, 0, 1, -0.5, 0}}});
  CHECK(all_near(y[0], {1, 0.5F, 0.25F, 0.125F}));
}

// The operator's reference on tensors of any dtype.
std::vector<ir::Tensor> evaluate(const ir::OpDef& op, const std::vector<ir::Tensor>& inputs,
                                 const ir::Attrs& attrs) {
  ir::Graph graph;
  ir::Builder b(graph);
  std::vector<ir::ValueId> ids;
  for (const ir::Tensor& x : inputs) ids.push_back(b.constant(x));
  const std::vector<ir::ValueId> outputs = b.add_multi(op, ids, attrs);
  REQUIRE(b.ok());
  std::vector<ir::ConstTensorView> in(inputs.begin(), inputs.end());
  std::vector<ir::Tensor> results;
  for (const ir::ValueId id : outputs) results.emplace_back(graph.type(id));
  std::vector<ir::TensorView> out;
  for (ir::Tensor& y : results) out.emplace_back(y);
  ir::evaluate(op, in, out, graph.nodes[0].attrs);
  return results;
}

TEST_CASE("biquad: a signal in pieces gives the same bits as in one") {
  const auto x = random_tensor({1, 700});
  const ir::Attrs attrs{{"sections", kSections}};
  const auto whole = run(ops::kBiquad, {x}, attrs)[0];
  ir::Tensor state(DType::kF64, Shape{1, 2, 2});
  size_t at = 0;
  for (const int64_t piece : {1, 2, 255, 256, 186}) {
    const auto part = ir::Tensor::from<float>(
        x.values<float>().subspan(at, static_cast<size_t>(piece)), Shape{1, piece});
    const auto y = evaluate(ops::kBiquad, {part, state}, attrs);
    for (const float v : y[0].values<float>()) CHECK(v == whole.values<float>()[at++]);
    state = y[1];
  }
  CHECK(at == 700);
}

TEST_CASE("biquad: refuses coefficients and states that do not fit") {
  CHECK_FALSE(infer_shapes(ops::kBiquad, {{3}}).ok());
  CHECK_FALSE(infer_shapes(ops::kBiquad, {{3}}, {{"sections", Numbers{1, 0, 0, 0, 0, 0}}}).ok());
  CHECK_FALSE(infer_shapes(ops::kBiquad, {{3}}, {{"sections", Numbers{1, 0, 0}}}).ok());
  CHECK_FALSE(infer_shapes(ops::kBiquad, {{3}}, {{"sections", Numbers{NAN, 0, 0, 1, 0, 0}}}).ok());
  CHECK_FALSE(infer_shapes(ops::kBiquad, {{1, 3}, {1, 2, 2}}, {{"sections", kSections}}).ok());
}

}  // namespace
}  // namespace ew::testing
