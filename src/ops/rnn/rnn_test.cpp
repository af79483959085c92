// Keras' recurrent layers beyond what the oracle's files hold: state across calls, bad files.
#include <doctest/doctest.h>

#include "runtime/executor.h"
#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

Config map(Config::Map entries) { return Config(std::move(entries)); }

LayerCase rnn_case(const char* class_name, Config::Map config) {
  return {
      .class_name = class_name, .config = map(std::move(config)), .x = random_tensor({2, 3, 4})};
}

// h = x + h, linear.
LayerCase summing(Config::Map extra, bool fixed_batch) {
  Config config = map({{"units", 1}, {"activation", "linear"}, {"use_bias", false}});
  for (auto& [key, value] : extra) config.set(key, value);
  return {.class_name = "SimpleRNN",
          .config = config,
          .x = tensor({1, 3, 1}, {1, 2, 3}),
          .weights = {{"kernel", tensor({1, 1}, {1})}, {"recurrent_kernel", tensor({1, 1}, {1})}},
          .has_fixed_batch = fixed_batch};
}

}  // namespace

TEST_CASE("rnn: a stateful layer goes on from the state of the last run") {
  const Result<ir::Graph> graph = import_layer(summing({{"stateful", true}}, true));
  REQUIRE_MESSAGE(graph.ok(), graph.error().message);
  REQUIRE(graph->updates.size() == 1);
  const ir::Value& state = graph->value(graph->updates[0].parameter);
  CHECK_FALSE(state.info->is_trainable);
  CHECK(state.type.shape == Shape{1, 1});
  // The state is 10 before the run: 11, 13, 16 and the update holds the last.
  ir::Graph primed = *graph;
  primed.value(graph->updates[0].parameter).data = tensor({1, 1}, {10});
  primed.outputs.push_back(graph->updates[0].value);
  const std::vector<ir::Tensor> inputs = {tensor({1, 3, 1}, {1, 2, 3})};
  const auto y = runtime::run_graph(primed, inputs, {.reference_only = true});
  REQUIRE_MESSAGE(y.ok(), y.error().message);
  CHECK(all_near((*y)[0], {16}));
  CHECK(all_near((*y)[1], {16}));
}

TEST_CASE("rnn: a stateful layer needs a fixed batch size") {
  CHECK(refusal(summing({{"stateful", true}}, false)).find("needs a fixed batch size") !=
        std::string::npos);
}

TEST_CASE("rnn: go_backwards reads the last step first") {
  const auto y = run_layer(summing({{"go_backwards", true}, {"return_sequences", true}}, false));
  CHECK(all_near(y, {3, 5, 6}));
}

TEST_CASE("rnn: a cell runs as its layer does") {
  const Config units = map({{"units", 2}, {"activation", "tanh"}, {"reset_after", false}});
  const auto layer = run_layer(rnn_case("GRU", units.as_map()));
  const Config cell = map({{"class_name", "GRUCell"}, {"config", units}});
  const auto wrapped = run_layer(rnn_case("RNN", {{"cell", cell}}));
  const auto values = layer.values<float>();
  CHECK(all_near(wrapped, std::vector<float>(values.begin(), values.end()), 0));
}

TEST_CASE("rnn: refuses what it cannot run, and names it") {
  CHECK(refusal(rnn_case("LSTM", {{"units", 0}})).find("units: expected 1 or more, found 0") !=
        std::string::npos);
  CHECK(refusal(rnn_case("LSTM", {{"units", INT64_MAX}})) != "");
  CHECK(refusal(rnn_case("LSTM", {{"units", 2}, {"activation", "softmax"}})) != "");
  CHECK(refusal(rnn_case("GRU", {{"units", 2}, {"recurrent_dropout", "much"}})) != "");
  const Config cell = map({{"class_name", "MyCell"}, {"config", map({})}});
  CHECK(refusal(rnn_case("RNN", {{"cell", cell}})).find("cells of class 'MyCell'") !=
        std::string::npos);
  const Config stacked =
      map({{"class_name", "StackedRNNCells"}, {"config", map({{"cells", Config::list()}})}});
  CHECK(refusal(rnn_case("RNN", {{"cell", stacked}})) != "");
  CHECK(refusal({.class_name = "LSTM", .config = map({{"units", 2}}), .x = random_tensor({2, 3})})
            .find("expected an input [batch, steps, features]") != std::string::npos);
}

TEST_CASE("bidirectional: refuses an unknown merge mode") {
  const Config layer =
      map({{"class_name", "GRU"}, {"config", map({{"name", "gru"}, {"units", 2}})}});
  CHECK(refusal(rnn_case("Bidirectional", {{"layer", layer}, {"merge_mode", "xor"}}))
            .find("unknown merge_mode 'xor'") != std::string::npos);
}

TEST_CASE("conv_lstm: refuses what it cannot unroll") {
  LayerCase c{.class_name = "ConvLSTM2D",
              .config = map({{"filters", 2}, {"kernel_size", 3}}),
              .x = random_tensor({1, 2, 4, 4})};
  CHECK(refusal(c).find("expected an input of rank 5") != std::string::npos);
  c.x = random_tensor({1, 2, 4, 4, 1});
  CHECK(refusal(c) == "");
  c.config.set("stateful", true);
  CHECK(refusal(c).find("a stateful convolutional LSTM") != std::string::npos);
  c.config = map({{"filters", INT64_MAX}, {"kernel_size", 3}});
  CHECK(refusal(c) != "");
}

}  // namespace ew::testing
