#include "train/optimizer_file.h"

#include <doctest/doctest.h>

#include "train/call.h"
#include "train/fixture_testing.h"
#include "train/keras_object.h"

namespace ew::train {
namespace {

constexpr auto kKeras2 = ir::KerasGeneration::kKeras2;
constexpr auto kKeras3 = ir::KerasGeneration::kKeras3;

/// The optimizers of the oracle's files, as make_keras_fixtures.py builds them.
struct FileCase {
  const char* name;
  const char* call;
};
constexpr FileCase kCases[] = {
    {"sgd", "SGD(0.01)"},
    {"sgd_momentum", "SGD(0.01, momentum=0.9)"},
    {"sgd_nesterov", "SGD(0.01, momentum=0.9, nesterov=True)"},
    {"rmsprop", "RMSprop(0.01)"},
    {"rmsprop_full", "RMSprop(0.01, rho=0.8, momentum=0.5, centered=True, epsilon=1e-5)"},
    {"adam", "Adam(0.01)"},
    {"adam_amsgrad", "Adam(0.01, amsgrad=True, beta_1=0.8, beta_2=0.95, epsilon=1e-4)"},
    {"adamw", "AdamW(0.01, weight_decay=0.02)"},
    {"adamax", "Adamax(0.01)"},
    {"nadam", "Nadam(0.01)"},
    {"adagrad", "Adagrad(0.01)"},
    {"adadelta", "Adadelta(0.01)"},
    {"ftrl", "Ftrl(0.01)"},
    {"ftrl_full", "Ftrl(0.01, l1_regularization_strength=0.001)"},
    {"lion", "Lion(0.01)"},
    {"adam_clipnorm", "Adam(0.01, clipnorm=0.1)"},
    {"adam_globalclip", "Adam(0.01, global_clipnorm=0.2)"},
    {"sgd_clipvalue", "SGD(0.01, clipvalue=0.05)"},
    {"adam_wd", "Adam(0.01, weight_decay=0.05)"},
    {"sgd_ema", "SGD(0.01, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=5)"},
    {"lamb", "Lamb(0.01)"},
    {"adam_accum", "Adam(0.01, gradient_accumulation_steps=4)"},
};

std::vector<ir::NamedTensor> file_of(const Config& rows) {
  std::vector<ir::NamedTensor> out;
  for (const Config& row : rows.as_list()) {
    ir::Tensor value = to_tensor(row["value"]);
    if (row["dtype"].as_string() == "int64") value = value.cast(DType::kI64);
    out.push_back({row["name"].as_string(), value});
  }
  return out;
}

std::vector<ParameterSpec> parameters_of(ir::KerasGeneration generation) {
  const std::string prefix = generation == kKeras3 ? "sequential/" : "";
  return {{prefix + "dense/kernel", {3, 2}}, {prefix + "dense/bias", {2}}};
}

void check_same(const std::vector<ir::NamedTensor>& a, const std::vector<ir::NamedTensor>& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].name == b[i].name);
    CHECK(a[i].value.type() == b[i].value.type());
    CHECK(std::memcmp(a[i].value.data(), b[i].value.data(), a[i].value.size_bytes()) == 0);
  }
}

}  // namespace

TEST_CASE("optimizer file: reads and rewrites every file of both generations") {
  int checked = 0;
  for (const auto generation : {kKeras2, kKeras3}) {
    const Config table = read_fixture_json(generation == kKeras3 ? "fixtures/optfile/k3/case.json"
                                                                 : "fixtures/optfile/k2/case.json");
    const std::vector<ParameterSpec> parameters = parameters_of(generation);
    for (const FileCase& c : kCases) {
      const Config& rows = table["optimizers"][c.name];
      if (!rows.is_list()) continue;
      CAPTURE(c.name);
      const Config config = parse_call(c.call).value();
      const std::vector<ir::NamedTensor> file = file_of(rows);
      const auto state = slots_from_file(config, generation, file, parameters);
      REQUIRE_MESSAGE(state.ok(), state.error().message);
      CHECK(state->iterations == 2);
      CHECK(state->learning_rate.has_value() == (generation == kKeras3));
      // The optimizer accepts it.
      auto optimizer = Optimizer::create(config, generation).value();
      optimizer->build(parameters).value();
      CHECK(optimizer->restore_slots(state->slots).ok());
      const SlotOrder order = generation == kKeras3 ? SlotOrder::kKeras3 : SlotOrder::kKeras2;
      check_same(slots_to_file(config, order, *state, parameters).value(), file);
      // The same by order alone, as `.keras` has it.
      std::vector<ir::NamedTensor> numbered = file;
      for (size_t i = 0; i < numbered.size(); ++i) numbered[i].name = std::to_string(i);
      const auto by_order = slots_from_file(config, generation, numbered, parameters);
      REQUIRE_MESSAGE(by_order.ok(), by_order.error().message);
      check_same(slots_to_file(config, order, *by_order, parameters).value(), file);
      ++checked;
    }
  }
  CHECK(checked == 20 + 22);
}

TEST_CASE("optimizer file: the legacy order has slot after slot") {
  const Config adam = parse_call("Adam(amsgrad=True)").value();
  auto optimizer = Optimizer::create(adam, kKeras2).value();
  const auto parameters = parameters_of(kKeras2);
  optimizer->build(parameters).value();
  OptimizerState state{7, {}, optimizer->slots()};
  const auto names = [&](const char* call) {
    std::string out;
    const auto file = slots_to_file(parse_call(call).value(), SlotOrder::kLegacy, {}, parameters);
    for (const ir::NamedTensor& t : file.value()) out += t.name + " ";
    return out;
  };
  CHECK(names("Adam(amsgrad=True)") ==
        "Adam/iter:0 Adam/dense/kernel/m:0 Adam/dense/bias/m:0 Adam/dense/kernel/v:0 "
        "Adam/dense/bias/v:0 Adam/dense/kernel/vhat:0 Adam/dense/bias/vhat:0 ");
  CHECK(names("Nadam()") ==
        "Nadam/iter:0 Nadam/momentum_cache:0 Nadam/dense/kernel/m:0 Nadam/dense/bias/m:0 "
        "Nadam/dense/kernel/v:0 Nadam/dense/bias/v:0 ");
  CHECK(names("Ftrl()") ==
        "Ftrl/iter:0 Ftrl/dense/kernel/accumulator:0 Ftrl/dense/kernel/linear:0 "
        "Ftrl/dense/bias/accumulator:0 Ftrl/dense/bias/linear:0 ");
  CHECK(names("RMSprop(momentum=0.5, centered=True)") ==
        "RMSprop/iter:0 RMSprop/dense/kernel/rms:0 RMSprop/dense/bias/rms:0 "
        "RMSprop/dense/kernel/momentum:0 RMSprop/dense/bias/momentum:0 "
        "RMSprop/dense/kernel/mg:0 RMSprop/dense/bias/mg:0 ");
  CHECK(names("Adamax()") ==
        "Adamax/iter:0 Adamax/dense/kernel/m:0 Adamax/dense/bias/m:0 Adamax/dense/kernel/v:0 "
        "Adamax/dense/bias/v:0 ");
  CHECK(names("SGD()") == "SGD/iter:0 ");
  CHECK(slots_to_file(Config("lion"), SlotOrder::kLegacy, {}, parameters).error().message ==
        "optimizer: Keras 2's legacy Lion has no momentum");
}

TEST_CASE("optimizer file: a legacy file reads back what was written") {
  const auto parameters = parameters_of(kKeras2);
  for (const char* call :
       {"SGD(momentum=0.9)", "RMSprop(momentum=0.5, centered=True)", "Adam(amsgrad=True)",
        "Adamax()", "Nadam()", "Adagrad()", "Adadelta()", "Ftrl()"}) {
    CAPTURE(call);
    const Config config = parse_call(call).value();
    auto optimizer = Optimizer::create(config, kKeras2).value();
    optimizer->build(parameters).value();
    OptimizerState state{3, {}, optimizer->slots()};
    float next = 1;
    for (auto& [key, tensor] : state.slots) {
      for (float& x : tensor.mutable_values<float>()) x = next++;
    }
    const auto file = slots_to_file(config, SlotOrder::kLegacy, state, parameters).value();
    const auto again = slots_from_file(config, kKeras2, file, parameters);
    REQUIRE_MESSAGE(again.ok(), again.error().message);
    check_same(slots_to_file(config, SlotOrder::kLegacy, *again, parameters).value(), file);
    // Older writers put "training/" before the names.
    std::vector<ir::NamedTensor> older = file;
    for (ir::NamedTensor& t : older) t.name = "training/" + t.name;
    CHECK(slots_from_file(config, kKeras2, older, parameters).ok());
  }
}

TEST_CASE("optimizer file: Adafactor's order in .keras, with placeholders for vectors") {
  // As keras.optimizers.Adafactor(...).variables: iteration, rate, kernel [3], kernel [2],
  // velocity [3, 2], bias (), bias (), velocity [2].
  const auto parameters = parameters_of(kKeras3);
  const auto file = slots_to_file(Config("adafactor"), SlotOrder::kKeras3, {}, parameters).value();
  std::vector<Shape> shapes;
  for (const ir::NamedTensor& t : file) shapes.push_back(t.value.shape());
  CHECK(shapes == std::vector<Shape>{{}, {}, {3}, {2}, {3, 2}, {}, {}, {2}});
  // Keras 2 leaves the placeholders out; reading adds them.
  const auto file2 = slots_to_file(Config("adafactor"), SlotOrder::kKeras2, {}, parameters).value();
  CHECK(file2.size() == 5);
  const auto state = slots_from_file(Config("adafactor"), kKeras2, file2, parameters);
  REQUIRE_MESSAGE(state.ok(), state.error().message);
  CHECK(state->slots.count("row/1") == 1);
}

TEST_CASE("optimizer file: Nadam's product follows from the iterations where it is not stored") {
  const auto parameters = parameters_of(kKeras2);
  OptimizerState state;
  state.iterations = 2;
  const auto file = slots_to_file(Config("nadam"), SlotOrder::kKeras2, state, parameters).value();
  const auto read = slots_from_file(Config("nadam"), kKeras2, file, parameters).value();
  // 0.9 (1 - 0.5 * 0.96) * 0.9 (1 - 0.5 * 0.96^2)
  CHECK(read.slots.at("schedule_product").values<float>()[0] ==
        doctest::Approx(0.81 * 0.52 * 0.5392));
}

TEST_CASE("optimizer file: refuses variables that do not fit") {
  const auto parameters = parameters_of(kKeras3);
  const Config adam = Config("adam");
  auto file = slots_to_file(adam, SlotOrder::kKeras3, {}, parameters).value();
  const auto error = [&] {
    return slots_from_file(adam, kKeras3, file, parameters).error().message;
  };
  auto good = file;
  file[2].value = ir::Tensor(DType::kF32, {2, 3});
  CHECK(error() ==
        "optimizer variable adam/sequential_dense_kernel_momentum: expected shape (3, 2), found "
        "(2, 3)");
  file = good;
  file[2].name = "adam/sequential_dense_kernel_speed";
  CHECK(error() == "optimizer variable adam/sequential_dense_kernel_speed is not one of Adam");
  file = good;
  file.pop_back();
  CHECK(error() == "optimizer: Adam's velocity of sequential/dense/bias is missing");
  file = good;
  file.push_back(good.back());
  CHECK(error() ==
        "optimizer variable adam/sequential_dense_bias_velocity: the model has only 2 trainable "
        "parameters");
  file.resize(2);
  file[0].name = "0";
  file[1].name = "1";
  CHECK(error() == "optimizer: expected 6 variables for Adam and 2 parameters, found 2");
}

}  // namespace ew::train
