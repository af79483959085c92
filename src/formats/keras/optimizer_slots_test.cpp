#include "formats/keras/optimizer_slots.h"

#include <doctest/doctest.h>

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

}  // namespace
}  // namespace ew::formats
