#include "formats/keras/optimizer_slots.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>

#include "formats/json.h"

namespace ew::formats {
namespace {

std::vector<std::string> keys(const char* optimizer, SlotOrder order) {
  const auto entries =
      slot_entries(*parse_json(optimizer), order, {{"d/kernel", {3, 2}}, {"d/bias", {2}}});
  REQUIRE_MESSAGE(entries.ok(), entries.error().message);
  std::vector<std::string> out;
  for (const SlotEntry& entry : *entries) out.push_back(entry.key);
  return out;
}

TEST_CASE("optimizer slots: Adam alternates by parameter, its legacy form goes slot by slot") {
  const char* adam = R"({"class_name": "Adam", "config": {"learning_rate": 0.1, "amsgrad": true}})";
  CHECK(keys(adam, SlotOrder::kKeras3) ==
        std::vector<std::string>{"iteration", "learning_rate", "momentum/0", "velocity/0",
                                 "momentum/1", "velocity/1", "velocity_hat/0", "velocity_hat/1"});
  CHECK(keys(adam, SlotOrder::kLegacy) ==
        std::vector<std::string>{"iteration", "momentum/0", "momentum/1", "velocity/0",
                                 "velocity/1", "velocity_hat/0", "velocity_hat/1"});
}

TEST_CASE("optimizer slots: names are those that each generation writes") {
  const Config adam = *parse_json(R"({"class_name": "Adam", "config": {"learning_rate": {}}})");
  const auto name = [&](SlotOrder order, size_t i) {
    return slot_entries(adam, order, {{"d/kernel", {3, 2}}}).value()[i].name;
  };
  CHECK(name(SlotOrder::kKeras3, 1) == "adam/d_kernel_momentum");
  CHECK(name(SlotOrder::kKeras2, 0) == "iteration:0");
  CHECK(name(SlotOrder::kKeras2, 2) == "Adam/v/d/kernel:0");
  CHECK(name(SlotOrder::kLegacy, 0) == "Adam/iter:0");
  CHECK(name(SlotOrder::kLegacy, 1) == "Adam/d/kernel/m:0");
  CHECK(slot_order_of("Adam/iter:0") == SlotOrder::kLegacy);
  CHECK(slot_order_of("iteration:0") == SlotOrder::kKeras2);
  CHECK(slot_order_of("adam/iteration") == SlotOrder::kKeras3);
}

TEST_CASE("optimizer slots: plain SGD has none in Keras 3 and one in Keras 2") {
  const char* sgd = R"({"class_name": "SGD", "config": {"learning_rate": 0.1, "momentum": 0.0}})";
  CHECK(keys(sgd, SlotOrder::kKeras3).size() == 2);
  CHECK(keys(sgd, SlotOrder::kKeras2).size() == 3);
}

TEST_CASE("optimizer slots: a file's variables become slots; a wrong shape is named") {
  ir::CompiledState state;
  state.optimizer = *parse_json(R"({"class_name": "SGD", "config": {"learning_rate": {},
                                                                    "momentum": 0.9}})");
  const std::vector<SlotParameter> parameters{{"d/kernel", {2}}, {"d/bias", {1}}};
  const ir::Tensor step = ir::Tensor::from<int64_t>(std::vector<int64_t>{7}, Shape{});
  const ir::Tensor two = ir::Tensor::from<float>(std::vector<float>{1, 2}, {2});
  const ir::Tensor one = ir::Tensor::from<float>(std::vector<float>{3}, {1});
  REQUIRE(read_slots({{"sgd/iteration", step}, {"a", two}, {"b", one}}, SlotOrder::kKeras3,
                     parameters, state)
              .ok());
  CHECK(state.iterations == 7);
  CHECK(state.slots.at("momentum/1").values<float>()[0] == 3);
  const Status wrong = read_slots({{"sgd/iteration", step}, {"a", one}, {"b", one}},
                                  SlotOrder::kKeras3, parameters, state);
  REQUIRE_FALSE(wrong.ok());
  CHECK(wrong.error().message.find("'a'") != std::string::npos);
  // Before the first step a file has the counter only.
  ir::CompiledState fresh;
  fresh.optimizer = state.optimizer;
  REQUIRE(read_slots({{"sgd/iteration", step}}, SlotOrder::kKeras3, parameters, fresh).ok());
  CHECK(fresh.slots.empty());
}

// Nadam's variables as Keras 2 writes them, without the product of momentum factors.
Result<float> nadam_product_at(int64_t steps, double beta) {
  ir::CompiledState state;
  state.optimizer.set("class_name", "Nadam");
  state.optimizer.set("config", Config(Config::Map{{"beta_1", beta}}));
  const ir::Tensor step = ir::Tensor::from<int64_t>(std::vector<int64_t>{steps}, Shape{});
  const ir::Tensor one = ir::Tensor::from<float>(std::vector<float>{3}, {1});
  EW_TRY_VOID(read_slots({{"iteration:0", step}, {"m", one}, {"v", one}}, SlotOrder::kKeras2,
                         {{"d/bias", {1}}}, state));
  return state.slots.at("schedule_product").values<float>()[0];
}

TEST_CASE("optimizer slots: Nadam's product follows from any number of steps, soon") {
  CHECK(nadam_product_at(0, 0.9).value() == 1);
  // 0.9 (1 - 0.5 * 0.96) and 0.9 (1 - 0.5 * 0.96^2).
  CHECK(nadam_product_at(2, 0.9).value() == doctest::Approx(0.468 * 0.48528));
  CHECK(nadam_product_at(ir::kMaxIterations, 0.9).value() < 1e-44f);
  CHECK(nadam_product_at(ir::kMaxIterations, 1).value() > 0);
  // Once the factor is constant, just below 1, a million and a half steps are a power of it.
  const double beta = 1 - 0x1p-20;
  const float early = nadam_product_at(2000, beta).value();
  CHECK(nadam_product_at(1'502'000, beta).value() ==
        doctest::Approx(early * std::pow(beta, 1.5e6)).epsilon(0.001));
}

TEST_CASE("optimizer slots: a counter of steps that none can have done is refused") {
  for (const int64_t steps : {int64_t{-1}, ir::kMaxIterations + 1, INT64_MAX}) {
    const Result<float> product = nadam_product_at(steps, 0.9);
    REQUIRE_FALSE(product.ok());
    CHECK(product.error().message.find("'iteration:0' is no counter") != std::string::npos);
  }
}

}  // namespace
}  // namespace ew::formats
