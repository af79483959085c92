#include "train/optimizer.h"

#include <doctest/doctest.h>

#include <cmath>

#include "base/rng.h"
#include "train/call.h"
#include "train/fixture_testing.h"
#include "train/keras_object.h"

namespace ew::train {
namespace {

using Values = std::vector<float>;
constexpr auto kKeras2 = ir::KerasGeneration::kKeras2;
constexpr auto kKeras3 = ir::KerasGeneration::kKeras3;

std::unique_ptr<Optimizer> optimizer_of(const char* call,
                                        ir::KerasGeneration generation = kKeras3) {
  return Optimizer::create(parse_call(call).value(), generation).value();
}

/// Applies `gradients` one after the other to a single parameter.
Values run(Optimizer& optimizer, Values value, const std::vector<Values>& gradients) {
  for (const Values& g : gradients) {
    const ParameterUpdate update{value.data(), g.data(), static_cast<int64_t>(value.size())};
    optimizer.apply(std::span(&update, 1), nullptr);
  }
  return value;
}

Values run(const char* call, const Values& value, const std::vector<Values>& gradients,
           ir::KerasGeneration generation = kKeras3) {
  auto optimizer = optimizer_of(call, generation);
  const ParameterSpec spec{"w", Shape{static_cast<int64_t>(value.size())}};
  optimizer->build(std::span(&spec, 1)).value();
  return run(*optimizer, value, gradients);
}

void check_two_steps(const char* call, float expected_1, float expected_2) {
  // One parameter at 1 with the gradients 0.5 and -0.25.
  CAPTURE(call);
  CHECK(run(call, {1}, {{0.5f}})[0] == doctest::Approx(expected_1).epsilon(1e-6));
  CHECK(run(call, {1}, {{0.5f}, {-0.25f}})[0] == doctest::Approx(expected_2).epsilon(1e-6));
}

}  // namespace

TEST_CASE("optimizer: two steps of every rule match goldens computed by hand") {
  // p -= 0.1 g
  check_two_steps("SGD(0.1)", 0.95f, 0.975f);
  // m = -0.05, then -0.05 * 0.9 + 0.025 = -0.02
  check_two_steps("SGD(0.1, 0.9)", 0.95f, 0.93f);
  // p += 0.9 m - 0.1 g: -0.045 - 0.05 = -0.095, then -0.018 + 0.025
  check_two_steps("SGD(0.1, 0.9, nesterov=True)", 0.905f, 0.912f);
  // v = 0.1 * 0.25 = 0.025, then 0.9 * 0.025 + 0.1 * 0.0625 = 0.02875; p -= 0.1 g / sqrt(v)
  check_two_steps("RMSprop(0.1, epsilon=0)", 1 - 0.05f / std::sqrt(0.025f),
                  1 - 0.05f / std::sqrt(0.025f) + 0.025f / std::sqrt(0.02875f));
  // The first step of Adam is the rate. Then m = 0.05 * 0.9 - 0.025 = 0.02, corrected by 0.19;
  // v = 0.00025 * 0.999 + 0.0000625 = 0.00031225, corrected by 0.001999.
  const float adam = 0.1f * (0.02f / 0.19f) / std::sqrt(0.00031225f / 0.001999f);
  check_two_steps("Adam(0.1, epsilon=0)", 0.9f, 0.9f - adam);
  check_two_steps("AdamW(0.1, 0, epsilon=0)", 0.9f, 0.9f - adam);
  // u = 0.5, then max(0.999 * 0.5, 0.25); p -= 0.1 m / (1 - 0.9^t) / u
  check_two_steps("Adamax(0.1, epsilon=0)", 0.9f, 0.9f - 0.1f * (0.02f / 0.19f) / 0.4995f);
  // a = 0.1 + 0.25 = 0.35, then 0.4125
  check_two_steps("Adagrad(0.1, epsilon=0)", 1 - 0.05f / std::sqrt(0.35f),
                  1 - 0.05f / std::sqrt(0.35f) + 0.025f / std::sqrt(0.4125f));
  // Only the sign counts: of 0.05, then of 0.9 * 0.005 - 0.025.
  check_two_steps("Lion(0.1)", 0.9f, 1.0f);
}

TEST_CASE("optimizer: Adadelta, Ftrl, Nadam and Lamb match their formulas") {
  // Adadelta, rho 0.95: grads = 0.05 * 0.25; delta = -sqrt(1e-7) * 0.5 / sqrt(0.0125 + 1e-7).
  const double delta = -std::sqrt(1e-7) * 0.5 / std::sqrt(0.0125 + 1e-7);
  CHECK(run("Adadelta(10.0)", {1}, {{0.5f}})[0] == doctest::Approx(1 + 10 * delta));
  // Ftrl: linear = 0.5 - (sqrt(0.35) - sqrt(0.1)) / 0.1; p = -linear / (sqrt(0.35) / 0.1).
  const double linear = 0.5 - (std::sqrt(0.35) - std::sqrt(0.1)) / 0.1;
  CHECK(run("Ftrl(0.1)", {1}, {{0.5f}})[0] == doctest::Approx(-linear / (std::sqrt(0.35) / 0.1)));
  // Nadam: u1 = 0.9 (1 - 0.48), u2 = 0.9 (1 - 0.5 * 0.96^2);
  // m_hat = u2 * 0.05 / (1 - u1 u2) + (1 - u1) * 0.5 / (1 - u1); v_hat = 0.25.
  const double u1 = 0.9 * 0.52;
  const double u2 = 0.9 * (1 - 0.5 * 0.9216);
  CHECK(run("Nadam(0.1)", {1}, {{0.5f}})[0] ==
        doctest::Approx(1 - 0.1 * (u2 * 0.05 / (1 - u1 * u2) + 0.5) / 0.5));
  // Lamb: Adam's first step is (1, -1) with norm sqrt(2); the parameter's norm is 5.
  const Values lamb = run("Lamb(0.1)", {3, 4}, {{0.5f, -0.5f}});
  CHECK(lamb[0] == doctest::Approx(3 - 0.1 * 5 / std::sqrt(2.0)));
  CHECK(lamb[1] == doctest::Approx(4 + 0.1 * 5 / std::sqrt(2.0)));
}

TEST_CASE("optimizer: clipping by value, by norm and by the norm of all gradients") {
  CHECK(run("SGD(1.0, clipvalue=0.1)", {0, 0}, {{0.5f, -0.05f}}) == Values{-0.1f, 0.05f});
  // The norm of (3, 4) is 5, so it is divided by 5.
  const Values clipped = run("SGD(1.0, clipnorm=1.0)", {0, 0}, {{3, 4}});
  CHECK(clipped[0] == doctest::Approx(-0.6));
  CHECK(clipped[1] == doctest::Approx(-0.8));
  auto optimizer = optimizer_of("SGD(1.0, global_clipnorm=1.0)");
  const ParameterSpec specs[] = {{"a", {1}}, {"b", {1}}};
  optimizer->build(specs).value();
  float a = 0, b = 0;
  const float ga = 3, gb = 4;
  const ParameterUpdate updates[] = {{&a, &ga, 1}, {&b, &gb, 1}};
  optimizer->apply(updates, nullptr);
  CHECK(a == doctest::Approx(-0.6));
  CHECK(b == doctest::Approx(-0.8));
}

TEST_CASE("optimizer: weight decay shrinks by rate times decay before the step") {
  // 2 - 2 * 0.5 * 0.1 = 1.9, then - 0.1 * 1.
  CHECK(run("SGD(0.1, weight_decay=0.5)", {2}, {{1}})[0] == doctest::Approx(1.8));
}

TEST_CASE("optimizer: accumulates gradients and applies their mean") {
  const char* call = "SGD(1.0, gradient_accumulation_steps=2)";
  CHECK(run(call, {0}, {{1}}) == Values{0});
  CHECK(run(call, {0}, {{1}, {3}}) == Values{-2});
  CHECK(run(call, {0}, {{1}, {3}, {5}}) == Values{-2});
}

TEST_CASE("optimizer: moving averages start as their generation starts them") {
  // Values 0 -> -1 -> -2 with momentum 0.5. Keras 3: -1, then -1.5. Keras 2: from 0: -0.5, -1.25.
  const char* call = "SGD(1.0, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)";
  CHECK(run(call, {0}, {{1}}) == Values{-1});
  CHECK(run(call, {0}, {{1}, {1}}) == Values{-1.5f});
  CHECK(run(call, {0}, {{1}, {1}}, kKeras2) == Values{-1.25f});
}

TEST_CASE("optimizer: finalize leaves the averages in the parameters") {
  auto optimizer = optimizer_of("SGD(1.0, use_ema=True, ema_momentum=0.5)");
  const ParameterSpec spec{"w", {1}};
  optimizer->build(std::span(&spec, 1)).value();
  Values value = run(*optimizer, {0}, {{1}, {1}});
  CHECK(value == Values{-2});
  const ParameterUpdate update{value.data(), nullptr, 1};
  optimizer->finalize(std::span(&update, 1));
  CHECK(value == Values{-1.5f});
}

TEST_CASE("optimizer: one flat buffer, separate buffers and threads give the same bits") {
  Rng rng(3);
  constexpr int64_t kSizes[] = {70000, 1, 33000, 12};
  constexpr size_t kTotal = 103013;
  Values start(kTotal), gradient(kTotal);
  for (float& x : start) x = static_cast<float>(rng.normal());
  for (float& x : gradient) x = static_cast<float>(rng.normal());
  for (const char* call : {"SGD(0.1, 0.9)", "RMSprop()", "Adam(0.1)", "Nadam()", "Lamb(0.1)",
                           "Adafactor(0.1)", "AdamW(clipnorm=1.0)"}) {
    CAPTURE(call);
    std::vector<ParameterSpec> specs;
    for (const int64_t size : kSizes) specs.push_back({"p", Shape{size}});
    const auto train = [&](bool is_flat, ThreadPool* pool) {
      auto optimizer = optimizer_of(call);
      optimizer->build(specs).value();
      std::vector<Values> parts;
      Values flat = start;
      const float* from = start.data();
      for (const int64_t size : kSizes) {
        parts.emplace_back(from, from + size);
        from += size;
      }
      std::vector<ParameterUpdate> updates;
      int64_t offset = 0;
      for (size_t i = 0; i < std::size(kSizes); ++i) {
        float* value = is_flat ? flat.data() + offset : parts[i].data();
        updates.push_back({value, gradient.data() + offset, kSizes[i]});
        offset += kSizes[i];
      }
      for (int step = 0; step < 3; ++step) optimizer->apply(updates, pool);
      if (is_flat) return flat;
      Values joined;
      for (const Values& part : parts) joined.insert(joined.end(), part.begin(), part.end());
      return joined;
    };
    ThreadPool pool(3);
    const Values expected = train(false, nullptr);
    CHECK(train(true, nullptr) == expected);
    CHECK(train(true, &pool) == expected);
  }
}

TEST_CASE("optimizer: a restored state goes on as if it had not been interrupted") {
  const std::vector<Values> gradients = {{0.5f, 1}, {-0.25f, 2}, {1, -1}, {0.1f, 0.2f}};
  const ParameterSpec spec{"w", {2}};
  for (const char* call :
       {"SGD(0.1, 0.9)", "RMSprop(momentum=0.5, centered=True)", "Adam(amsgrad=True)", "Nadam()",
        "Adamax()", "Adagrad()", "Adadelta()", "Ftrl()", "Lion()", "Adafactor()", "Lamb()",
        "SGD(use_ema=True)", "Adam(gradient_accumulation_steps=3)",
        "Adam(ExponentialDecay(0.1, 2, 0.5))"}) {
    CAPTURE(call);
    auto whole = optimizer_of(call);
    whole->build(std::span(&spec, 1)).value();
    const Values expected = run(*whole, {1, 2}, gradients);
    auto first = optimizer_of(call);
    first->build(std::span(&spec, 1)).value();
    const Values half = run(*first, {1, 2}, {gradients[0], gradients[1]});
    auto second = Optimizer::create(first->config(), kKeras3).value();
    second->build(std::span(&spec, 1)).value();
    second->restore_slots(first->slots()).value();
    second->set_iterations(first->iterations());
    CHECK(run(*second, half, {gradients[2], gradients[3]}) == expected);
    CHECK(second->iterations() == 4);
  }
}

TEST_CASE("optimizer: refuses a state that does not fit and stays as it was") {
  auto optimizer = optimizer_of("Adam");
  const ParameterSpec spec{"w", {2}};
  optimizer->build(std::span(&spec, 1)).value();
  auto slots = optimizer->slots();
  CHECK(slots.size() == 2);
  slots["velocity/0"] = ir::Tensor(DType::kF32, {3});
  CHECK(optimizer->restore_slots(slots).error().message ==
        "optimizer slot velocity/0: expected float(2,), found float32(3,)");
  slots.erase("momentum/0");
  CHECK(optimizer->restore_slots(slots).error().message == "optimizer slot momentum/0 is missing");
}

TEST_CASE("optimizer: the rate can be set unless it is a schedule") {
  auto plain = optimizer_of("Adam(0.1)");
  CHECK(plain->learning_rate_now() == static_cast<double>(0.1f));
  plain->set_learning_rate(0.5).value();
  CHECK(plain->learning_rate_now() == 0.5);
  CHECK(plain->config()["config"]["learning_rate"].as_double() == 0.5);
  auto scheduled = optimizer_of("Adam(ExponentialDecay(0.1, 1, 0.5))");
  CHECK(scheduled->has_schedule());
  CHECK_FALSE(scheduled->set_learning_rate(0.5).ok());
  scheduled->set_iterations(2);
  CHECK(scheduled->learning_rate_now() == doctest::Approx(0.025));
}

TEST_CASE("optimizer: understands both generations' configs") {
  const auto keras2 = Optimizer::create(
      parse_json(R"({"class_name": "Custom>Adam", "config": {"name": "Adam", "weight_decay": null,
          "clipnorm": null, "use_ema": false, "jit_compile": false, "is_legacy_optimizer": false,
          "learning_rate": {"module": "keras.optimizers.schedules",
            "class_name": "ExponentialDecay", "config": {"initial_learning_rate": 0.01,
              "decay_steps": 10000, "decay_rate": 0.9, "staircase": false, "name": null},
            "registered_name": null}, "beta_1": 0.9, "epsilon": 1e-7, "amsgrad": false}})"),
      kKeras2);
  REQUIRE(keras2.ok());
  CHECK((*keras2)->learning_rate_now() == doctest::Approx(0.01));
  CHECK((*keras2)->config()["class_name"].as_string() == "Adam");
  CHECK((*keras2)->config()["config"].has("jit_compile"));
  // A legacy config: "decay" divides the rate by 1 + decay * iterations.
  auto legacy = Optimizer::create(
      parse_json(R"({"class_name": "SGD", "config": {"lr": 0.1, "decay": 0.5}})"), kKeras2);
  REQUIRE(legacy.ok());
  (*legacy)->set_iterations(2);
  CHECK((*legacy)->learning_rate_now() == doctest::Approx(0.05));
  CHECK(optimizer_of("lion", kKeras2)->learning_rate_now() == doctest::Approx(0.0001));
  CHECK(optimizer_of("lion", kKeras3)->learning_rate_now() == doctest::Approx(0.001));
}

TEST_CASE("optimizer: errors name the class and the argument") {
  const auto error = [](const char* call) {
    return Optimizer::create(parse_call(call).value(), kKeras3).error();
  };
  CHECK(error("adaam").message == "optimizer: unknown name 'adaam', did you mean 'Adam'?");
  CHECK(error("LossScaleOptimizer").code == ErrorCode::kUnsupported);
  CHECK(error("SGD(momentum=2)").message == "SGD: momentum must be in [0, 1], found 2");
  CHECK(error("Adam(clipnorm=1, clipvalue=1)").message ==
        "Adam: only one of clipnorm, clipvalue and global_clipnorm can be set");
  CHECK(error("Adam(gradient_accumulation_steps=1)").message ==
        "Adam: gradient_accumulation_steps must be >= 2, found 1");
  CHECK(error("Adam(ExponentialDecay(0.1, 0, 1))").message ==
        "Adam: ExponentialDecay: decay_steps must be > 0, found 0");
  CHECK(error("AdamW(weight_decay=None)").message == "AdamW: weight_decay must be a number");
}

}  // namespace ew::train
