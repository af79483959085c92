#include "compress/test_models.h"

#include <doctest/doctest.h>

#include <cmath>

#include "base/rng.h"
#include "ops/ops.h"
#include "runtime/executor.h"

namespace ew::compress::testing {
namespace {

using ir::Builder;
using ir::kNoValue;
using ir::Tensor;
using ir::ValueId;

class Net {
 public:
  Net(ir::Model& model, uint64_t seed) : b(model.graph), rng_(seed) {}

  ValueId weight(const std::string& layer, const std::string& name, Shape shape, double size,
                 double centre = 0, bool trains = true) {
    Tensor t(DType::kF32, std::move(shape));
    for (float& x : t.mutable_values<float>()) {
      x = static_cast<float>(centre + size * rng_.normal());
    }
    ir::ParameterInfo info;
    info.layer = layer;
    info.name = name;
    info.store_path = "layers/" + layer + "/vars/" + (name == "bias" ? "1" : "0");
    info.is_trainable = trains;
    return b.parameter(layer + "/" + name, t, info);
  }
  void layer(const std::string& name) { b.set_origin("keras:" + name); }
  ValueId norm(const std::string& name, ValueId x) {
    layer(name);
    const int64_t c = b.shape(x)[-1];
    const ValueId gamma = weight(name, "gamma", {c}, 0.2, 1);
    const ValueId beta = weight(name, "beta", {c}, 0.3);
    const ValueId mean = weight(name, "moving_mean", {c}, 0.2, 0, false);
    const ValueId variance = weight(name, "moving_variance", {c}, 0.1, 1, false);
    for (float& v : b.graph().value(variance).data.mutable_values<float>()) v = std::abs(v) + 0.1F;
    return b.add(ops::kBatchNorm, {x, gamma, beta, mean, variance});
  }

  Builder b;

 private:
  Rng rng_;
};

Config entry(const std::string& class_name, const std::string& name, bool use_bias) {
  Config config = Config::map();
  config.set("name", name);
  if (class_name.find("onv") != std::string::npos || class_name == "Dense") {
    config.set("use_bias", use_bias);
  }
  Config layer = Config::map();
  layer.set("class_name", class_name);
  layer.set("config", config);
  return layer;
}

Config inbound(const std::string& from, Dialect dialect) {
  Config ref = Config::list();
  ref.push_back(from);
  ref.push_back(0);
  ref.push_back(0);
  if (dialect == Dialect::kKeras2) {
    ref.push_back(Config::map());
    return Config(Config::List{Config(Config::List{ref})});
  }
  Config history = Config::map();
  history.set("keras_history", ref);
  Config tensor = Config::map();
  tensor.set("class_name", "__keras_tensor__");
  tensor.set("config", history);
  Config call = Config::map();
  call.set("args", Config(Config::List{tensor}));
  call.set("kwargs", Config::map());
  return Config(Config::List{call});
}

Config chain(const std::vector<Config>& layers, Dialect dialect) {
  Config list = Config::list();
  std::string previous;
  for (Config layer : layers) {
    const std::string name = layer["config"]["name"].as_string();
    if (dialect != Dialect::kSequential) {
      layer.set("name", name);
      layer.set("inbound_nodes", previous.empty() ? Config::list() : inbound(previous, dialect));
    }
    previous = name;
    list.push_back(layer);
  }
  Config config = Config::map();
  config.set("name", "model");
  config.set("layers", list);
  if (dialect != Dialect::kSequential) {
    const auto end = [](const std::string& name) {
      return Config(Config::List{Config(Config::List{Config(name), Config(0), Config(0)})});
    };
    config.set("input_layers", end("input"));
    config.set("output_layers", end(previous));
  }
  Config model = Config::map();
  model.set("class_name", dialect == Dialect::kSequential ? "Sequential" : "Functional");
  model.set("config", config);
  return model;
}

}  // namespace

ir::Model small_cnn(Dialect dialect, uint64_t seed) {
  ir::Model model;
  Net net(model, seed);
  Builder& b = net.b;
  ValueId x = b.input("input", {DType::kF32, Shape{kUnknown, 8, 8, 3}, nullptr});
  net.layer("conv");
  x = b.add(ops::kConv, {x, net.weight("conv", "kernel", {3, 3, 3, 8}, 0.3)},
            {{"padding", std::string("same")}});
  x = net.norm("bn1", x);
  net.layer("relu");
  x = b.add(ops::kRelu, {x});
  net.layer("dw");
  const ValueId kernel = net.weight("dw", "depthwise_kernel", {3, 3, 8, 1}, 0.4);
  x = b.add(ops::kDepthwiseConv, {x, kernel, net.weight("dw", "bias", {8}, 0.1)},
            {{"padding", std::string("same")}, {"strides", std::vector<int64_t>{2, 2}}});
  x = net.norm("bn2", x);
  net.layer("relu6");
  x = b.add(ops::kRelu6, {x});
  net.layer("drop");
  x = b.add(ops::kDropout, {x}, {{"rate", 0.3}});
  net.layer("point");
  x = b.add(ops::kConv, {x, net.weight("point", "kernel", {1, 1, 8, 12}, 0.4)});
  net.layer("relu2");
  x = b.add(ops::kRelu, {x});
  net.layer("mean");
  x = b.add(ops::kReduceMean, {x}, {{"axes", std::vector<int64_t>{1, 2}}});
  net.layer("out");
  const ValueId dense = net.weight("out", "kernel", {12, 5}, 0.8);
  x = b.add(ops::kDense, {x, dense, net.weight("out", "bias", {5}, 0.2)});
  x = b.add(ops::kSoftmax, {x});
  model.graph.outputs = {x};
  REQUIRE_MESSAGE(b.ok(), (b.ok() ? std::string() : b.status().error().message));
  model.architecture.config =
      chain({entry("InputLayer", "input", false), entry("Conv2D", "conv", false),
             entry("BatchNormalization", "bn1", false), entry("ReLU", "relu", false),
             entry("DepthwiseConv2D", "dw", true), entry("BatchNormalization", "bn2", false),
             entry("ReLU", "relu6", false), entry("Dropout", "drop", false),
             entry("Conv2D", "point", false), entry("ReLU", "relu2", false),
             entry("GlobalAveragePooling2D", "mean", false), entry("Dense", "out", true)},
            dialect);
  return model;
}

ir::Model residual(uint64_t seed) {
  ir::Model model;
  Net net(model, seed);
  Builder& b = net.b;
  const ValueId x = b.input("input", {DType::kF32, Shape{kUnknown, 6, 6, 4}, nullptr});
  net.layer("conv");
  ValueId y = b.add(ops::kConv, {x, net.weight("conv", "kernel", {3, 3, 4, 4}, 0.3)},
                    {{"padding", std::string("same")}});
  y = net.norm("bn", y);
  net.layer("add");
  y = b.add(ops::kAdd, {y, x});
  net.layer("relu");
  y = b.add(ops::kRelu, {y});
  net.layer("silu");
  y = b.add(ops::kSilu, {y});
  net.layer("flatten");
  y = b.add(ops::kReshape, {y}, {{"shape", std::vector<int64_t>{0, -1}}});
  net.layer("out");
  y = b.add(ops::kDense, {y, net.weight("out", "kernel", {144, 3}, 0.1)});
  model.graph.outputs = {y};
  REQUIRE_MESSAGE(b.ok(), (b.ok() ? std::string() : b.status().error().message));
  return model;
}

Tensor samples(Shape shape, uint64_t seed) {
  Rng rng(seed);
  Tensor t(DType::kF32, std::move(shape));
  for (float& x : t.mutable_values<float>()) x = static_cast<float>(rng.normal());
  return t;
}

std::vector<Tensor> run(const ir::Graph& graph, const Tensor& x) {
  const auto outputs = runtime::run_graph(graph, {&x, 1});
  REQUIRE_MESSAGE(outputs.ok(), (outputs.ok() ? std::string() : outputs.error().message));
  return *outputs;
}

double max_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double largest = 0;
  for (size_t i = 0; i < a.values<float>().size(); ++i) {
    largest = std::max(largest, std::abs(double{a.values<float>()[i]} - b.values<float>()[i]));
  }
  return largest;
}

TEST_CASE("test models: the graph and its inference form predict the same") {
  const ir::Model model = small_cnn();
  CHECK(run(model.graph, samples({4, 8, 8, 3}, 3)).size() == 1);
}

}  // namespace ew::compress::testing
