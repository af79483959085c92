// simple_rnn, lstm and gru by one table: they share inputs and attributes (ops/recurrent.h).
#include "ops/recurrent.h"

#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {
namespace {

constexpr int64_t kBatch = 2;
constexpr int64_t kSteps = 4;
constexpr int64_t kFeatures = 3;
constexpr int64_t kUnits = 2;

struct Unit {
  const ir::OpDef* op;
  const ops::RecurrentKind* kind;
};
const Unit kAll[] = {{&ops::kSimpleRnn, &ops::kSimpleRnnKind},
                     {&ops::kLstm, &ops::kLstmKind},
                     {&ops::kGru, &ops::kGruKind}};

ir::Tensor mask_of(std::vector<float> values) {
  return ir::Tensor::from(values, {kBatch, kSteps}).cast(DType::kBool);
}

// Sample 0 begins masked, sample 1 has a gap and ends masked.
ir::Tensor ragged_mask() { return mask_of({0, 1, 1, 1, 1, 0, 1, 0}); }

struct With {
  bool bias = true;
  bool mask = false;
  bool recurrent_mask = false;
  bool states = false;
};

OpCase make_case(const Unit& unit, const char* why, ir::Attrs attrs, With with) {
  const int64_t width = unit.kind->gates * kUnits;
  const bool reset_after = !attrs.has("reset_after") || attrs.flag("reset_after");
  const bool has_two_biases = unit.op == &ops::kGru && reset_after;
  OpCase c{.why = why,
           .in = {{kBatch, kSteps, kFeatures}, {kFeatures, width}, {kUnits, width}},
           .attrs = std::move(attrs)};
  c.in.push_back(!with.bias ? kAbsent : (has_two_biases ? Shape{2, width} : Shape{width}));
  c.in.push_back(with.mask ? Shape{kBatch, kSteps} : kAbsent);
  c.in.push_back(with.recurrent_mask ? Shape{kBatch, kUnits} : kAbsent);
  for (int64_t s = 0; s < unit.kind->states; ++s) {
    c.in.push_back(with.states ? Shape{kBatch, kUnits} : kAbsent);
  }
  if (with.mask) c.given.emplace(4, ragged_mask());
  // The recurrent mask is no parameter of a model: it has no gradient.
  if (with.recurrent_mask) c.has_gradient = false;
  return c;
}

}  // namespace

TEST_CASE("recurrent operators: every facet agrees with the reference") {
  for (const Unit& unit : kAll) {
    const ir::Attrs last = {{"return_sequences", false}};
    const ir::Attrs backwards = {{"go_backwards", true}};
    const ir::Attrs zero = {{"zero_output_for_mask", true}};
    check_op(
        *unit.op,
        {make_case(unit, "plain", {}, {}),
         make_case(unit, "no bias, last step only", last, {.bias = false}),
         make_case(unit, "states given", {}, {.states = true}),
         make_case(unit, "masked", {}, {.mask = true}),
         make_case(unit, "masked, last step only, states given", last,
                   {.mask = true, .states = true}),
         make_case(unit, "masked with zeros", zero, {.mask = true, .states = true}),
         make_case(unit, "backwards, masked", backwards, {.mask = true, .states = true}),
         make_case(unit, "recurrent mask", {}, {.recurrent_mask = true, .states = true}),
         make_case(unit, "recurrent dropout", {{"recurrent_dropout", 0.4}}, {.states = true})});
  }
}

TEST_CASE("lstm: a clipped cell") {
  check_op(ops::kLstm, {make_case(kAll[1], "some cells reach the bound", {{"cell_clip", 0.05}},
                                  {.states = true}),
                        make_case(kAll[1], "none does", {{"cell_clip", 100.0}}, {.states = true})});
}

TEST_CASE("gru: the reset before the product has its own gradient") {
  const Unit gru = kAll[2];
  const ir::Attrs before = {{"reset_after", false}};
  check_op(*gru.op, {make_case(gru, "reset before", before, {.states = true}),
                     make_case(gru, "reset before, masked, no bias", before,
                               {.bias = false, .mask = true})});
}

TEST_CASE("recurrent operators: every activation has its gradient") {
  for (const ops::RecurrentActivation& a : ops::recurrent_activations()) {
    OpCase lstm = make_case(kAll[1], a.name,
                            {{"activation", std::string(a.name)},
                             {"recurrent_activation", std::string("hard_sigmoid")}},
                            {});
    OpCase gru = make_case(kAll[2], a.name, {{"recurrent_activation", std::string(a.name)}}, {});
    // exp(exp(x)) of larger numbers leaves the range of float16.
    lstm.range = gru.range = 0.2;
    check_op(ops::kLstm, {lstm});
    check_op(ops::kGru, {gru});
  }
}

TEST_CASE("simple_rnn: matches sums done by hand") {
  // h = x + 10 h, linear: 1, 2 + 10, 3 + 120.
  const ir::Tensor x = tensor({1, 3, 1}, {1, 2, 3});
  const std::vector<ir::Tensor> in = {x, tensor({1, 1}, {1}), tensor({1, 1}, {10})};
  const ir::Attrs linear = {{"activation", std::string("linear")}};
  const auto y = run(ops::kSimpleRnn, in, linear);
  CHECK(all_near(y[0], {1, 12, 123}));
  CHECK(all_near(y[1], {123}));
  // From the end: 3, 2 + 30, 1 + 320, in that order.
  ir::Attrs backwards = linear;
  backwards.set("go_backwards", true);
  CHECK(all_near(run(ops::kSimpleRnn, in, backwards)[0], {3, 32, 321}));
}

TEST_CASE("simple_rnn: a masked step keeps the state and repeats the output") {
  const std::vector<float> x = {1, 2, 3, 4};
  const ir::Tensor none;
  const auto run_masked = [&](bool zero) {
    return run(ops::kSimpleRnn,
               {tensor({2, 2, 1}, x), tensor({1, 1}, {1}), tensor({1, 1}, {10}), tensor({1}, {0}),
                ir::Tensor::from(std::vector<float>{0, 1, 1, 0}, {2, 2}).cast(DType::kBool),
                tensor({2, 1}, {1, 1}), tensor({2, 1}, {5, 0})},
               {{"activation", std::string("linear")}, {"zero_output_for_mask", zero}});
  };
  // Sample 0: step 0 is masked and gives 0 (there was no output), the state 5 stays: 2 + 50.
  // Sample 1: 3, then masked: the output is repeated, or zero; the state is 3 either way.
  CHECK(all_near(run_masked(false)[0], {0, 52, 3, 3}));
  CHECK(all_near(run_masked(false)[1], {52, 3}));
  CHECK(all_near(run_masked(true)[0], {0, 52, 3, 0}));
  CHECK(all_near(run_masked(true)[1], {52, 3}));
}

TEST_CASE("lstm: no steps give the initial states") {
  const auto y =
      run(ops::kLstm,
          {tensor({1, 0, 1}, {}), tensor({1, 4}, {1, 1, 1, 1}), tensor({1, 4}, {1, 1, 1, 1}),
           tensor({4}, {0, 0, 0, 0}), ir::Tensor(DType::kBool, {1, 0}), tensor({1, 1}, {1}),
           tensor({1, 1}, {7}), tensor({1, 1}, {8})},
          {{"return_sequences", false}});
  CHECK(all_near(y[0], {0}));
  CHECK(all_near(y[1], {7}));
  CHECK(all_near(y[2], {8}));
}

TEST_CASE("recurrent operators: the number of steps may be open") {
  const auto y = infer_shapes(ops::kGru, {{kUnknown, kUnknown, 3}, {3, 6}, {2, 6}});
  REQUIRE(y.ok());
  CHECK((*y)[0] == Shape{kUnknown, kUnknown, 2});
  CHECK((*y)[1] == Shape{kUnknown, 2});
}

TEST_CASE("recurrent operators: reject weights, masks and activations that do not fit") {
  const Shape x{1, 4, 3};
  const auto kernel = infer_shapes(ops::kLstm, {x, {3, 6}, {2, 8}});
  REQUIRE_FALSE(kernel.ok());
  CHECK(kernel.error().message ==
        "lstm: weights do not fit: x (1, 4, 3), kernel (3, 6), recurrent kernel (2, 8), bias none, "
        "gates 4");
  CHECK_FALSE(infer_shapes(ops::kGru, {x, {3, 6}, {2, 6}, {6}}).ok());  // one bias, reset after
  CHECK_FALSE(infer_shapes(ops::kGru, {x, {3, 6}, {2, 6}, {2, 6}, {1, 4}}).ok());  // float mask
  CHECK_FALSE(infer_shapes(ops::kLstm, {{4, 3}, {3, 8}, {2, 8}}).ok());
  const auto activation =
      infer_shapes(ops::kLstm, {x, {3, 8}, {2, 8}}, {{"activation", std::string("softmax")}});
  REQUIRE_FALSE(activation.ok());
  CHECK(activation.error().message.find("cannot use the activation 'softmax'; known are tanh") !=
        std::string::npos);
}

}  // namespace ew::testing
