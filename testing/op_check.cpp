#include "testing/op_check.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "ops/gradient.h"
#include "runtime/executor.h"
#include "train/autodiff.h"

namespace ew::testing {
namespace {

using ir::Builder;
using ir::Graph;
using ir::kNoValue;
using ir::Tensor;
using ir::TensorType;
using ir::ValueId;
using runtime::Executor;
using runtime::ExecutorOptions;

constexpr uint64_t kSeed = 20240611;

// Largest |a - b|, relative to the largest |b| if that is above 1. NaN counts as equal to NaN.
double distance(const Tensor& a, const Tensor& b) {
  const Tensor wide_a = a.cast(DType::kF64);
  const Tensor wide_b = b.cast(DType::kF64);
  const auto va = wide_a.values<double>();
  const auto vb = wide_b.values<double>();
  double scale = 1;
  double worst = 0;
  for (size_t i = 0; i < vb.size(); ++i) {
    if (std::isfinite(vb[i])) scale = std::max(scale, std::abs(vb[i]));
  }
  for (size_t i = 0; i < vb.size(); ++i) {
    if (va[i] == vb[i] || (std::isnan(va[i]) && std::isnan(vb[i]))) continue;
    const double d = std::abs(va[i] - vb[i]);
    worst = std::isfinite(d) ? std::max(worst, d) : 1e30;
  }
  return worst / scale;
}

std::vector<Tensor> draw_inputs(const OpCase& c, uint64_t seed) {
  Rng rng(seed);
  const double low = c.low < -1e29 ? -c.range : c.low;
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < c.in.size(); ++i) {
    if (const auto given = c.given.find(i); given != c.given.end()) {
      inputs.push_back(given->second);
    } else if (c.in[i] == kAbsent) {
      inputs.emplace_back();
    } else {
      Tensor t(DType::kF32, c.in[i]);
      for (float& v : t.mutable_values<float>()) {
        v = static_cast<float>(low + (c.range - low) * rng.uniform());
      }
      inputs.push_back(std::move(t));
    }
  }
  return inputs;
}

// The operator as a graph whose floating inputs are trainable parameters of `dtype`.
Result<Graph> one_node(const ir::OpDef& op, const OpCase& c, const std::vector<Tensor>& inputs,
                       DType dtype) {
  Graph graph;
  Builder b(graph);
  std::vector<ValueId> ids;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (c.in[i] == kAbsent) {
      ids.push_back(kNoValue);
    } else if (is_floating(inputs[i].dtype())) {
      ir::ParameterInfo info;
      info.name = str("input_", i);
      ids.push_back(b.parameter(info.name, inputs[i].cast(dtype), info));
    } else {
      ids.push_back(b.constant(inputs[i]));
    }
  }
  b.set_origin("check");
  for (const ValueId id : b.add_multi(op, ids, c.attrs)) {
    graph.outputs.push_back(id);
  }
  EW_TRY_VOID(b.status());
  return graph;
}

Tensor copy_of(const ir::ConstTensorView& view) {
  Tensor t(*view.type);
  if (t.size() > 0) std::memcpy(t.mutable_data(), view.data, t.size_bytes());
  return t;
}

std::vector<Tensor> run_once(const Graph& graph, const ExecutorOptions& options) {
  const auto executor = Executor::create(graph, options);
  REQUIRE_MESSAGE(executor.ok(), executor.error().message);
  (*executor)->run();
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < graph.outputs.size(); ++i) outputs.push_back((*executor)->output(i));
  return outputs;
}

void expect_near(const std::vector<Tensor>& got, const std::vector<Tensor>& expected,
                 double tolerance, const char* what) {
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    INFO(what, ", output ", i, ", shape ", to_string(expected[i].shape()));
    CHECK(got[i].shape() == expected[i].shape());
    CHECK(distance(got[i], expected[i]) <= tolerance);
  }
}

// Elements that the reference leaves alone keep what the memory held before.
void check_writes_everything(const Graph& graph) {
  const ir::Node& node = graph.nodes[0];
  if (node.op->reference == nullptr || node.op->is_view) return;
  std::vector<ir::ConstTensorView> in;
  for (const ValueId id : node.inputs) {
    in.push_back(id == kNoValue ? ir::ConstTensorView() : graph.value(id).data);
  }
  std::vector<Tensor> results[2];
  for (const int pass : {0, 1}) {
    std::vector<ir::TensorView> out;
    for (const ValueId id : node.outputs) results[pass].emplace_back(graph.type(id));
    for (Tensor& t : results[pass]) {
      // All bits set is NaN in every floating type.
      if (t.size() > 0) std::memset(t.mutable_data(), pass == 0 ? 0x11 : 0x22, t.size_bytes());
      out.emplace_back(t);
    }
    ir::evaluate(*node.op, in, out, node.attrs);
  }
  for (size_t i = 0; i < results[0].size(); ++i) {
    CHECK_MESSAGE(distance(results[0][i], results[1][i]) == 0,
                  "the reference leaves elements of output ", i, " unset");
  }
}

void check_open_shapes(const ir::OpDef& op, const Graph& graph) {
  const ir::Node& node = graph.nodes[0];
  std::vector<TensorType> types;
  for (const ValueId id : node.inputs) {
    types.push_back(id == kNoValue ? TensorType{} : graph.type(id));
  }
  if (types.empty() || types[0].shape.rank() == 0) return;
  types[0].shape[0] = kUnknown;
  std::vector<const TensorType*> pointers;
  for (size_t i = 0; i < types.size(); ++i) {
    pointers.push_back(node.inputs[i] == kNoValue ? nullptr : &types[i]);
  }
  const auto open = op.infer(pointers, node.attrs);
  if (!open.ok()) return;  // gradient operators need static shapes
  REQUIRE(open->size() == node.outputs.size());
  for (size_t i = 0; i < open->size(); ++i) {
    const Shape& fixed = graph.type(node.outputs[i]).shape;
    REQUIRE((*open)[i].shape.rank() == fixed.rank());
    for (int d = 0; d < fixed.rank(); ++d) {
      const int64_t size = (*open)[i].shape[d];
      const bool fits = size == kUnknown || size == fixed[d];
      CHECK_MESSAGE(fits, "open first dimension: output ", i, " is ", to_string((*open)[i].shape),
                    ", expected ", to_string(fixed));
    }
  }
}

// One training graph with its buffers: a forward pass for perturbed parameters, and a backward one.
class Trainer {
 public:
  Trainer(const Graph& graph, ExecutorOptions options) {
    const std::vector<train::LossSource> sources(graph.outputs.size(), train::LossSource::kOutput);
    auto made = train::make_training_graph(graph, sources, 7);
    REQUIRE_MESSAGE(made.ok(), made.error().message);
    t_ = std::move(*made);
    options.constant_parameters = false;
    options.keep = t_.loss_inputs;
    for (const ValueId id : t_.gradients) {
      if (id != kNoValue) options.keep.push_back(id);
    }
    auto executor = Executor::create(t_.graph, options);
    REQUIRE_MESSAGE(executor.ok(), executor.error().message);
    executor_ = std::move(*executor);
    for (const ValueId id : t_.parameters) values_.push_back(t_.graph.value(id).data);
    for (size_t i = 0; i < values_.size(); ++i) {
      executor_->bind(t_.parameters[i], values_[i].mutable_data());
    }
    if (t_.step != kNoValue) *executor_->mutable_view(t_.step).as<int64_t>() = 5;
    Rng rng(kSeed + 1);
    for (const ValueId id : t_.loss_inputs) {
      Tensor dy(DType::kF64, t_.graph.type(id).shape);
      for (double& v : dy.mutable_values<double>()) v = 2 * rng.uniform() - 1;
      dy_.push_back(std::move(dy));
    }
  }

  std::vector<Tensor> outputs(int64_t step) {
    if (t_.step != kNoValue) *executor_->mutable_view(t_.step).as<int64_t>() = step;
    executor_->run(0, t_.forward_nodes);
    std::vector<Tensor> all;
    for (const ValueId id : t_.loss_inputs) all.push_back(copy_of(executor_->view(id)));
    return all;
  }

  // sum over outputs of dy * y
  double loss() {
    executor_->run(0, t_.forward_nodes);
    double sum = 0;
    for (size_t i = 0; i < dy_.size(); ++i) {
      const Tensor y = copy_of(executor_->view(t_.loss_inputs[i])).cast(DType::kF64);
      for (size_t j = 0; j < static_cast<size_t>(y.size()); ++j) {
        sum += y.values<double>()[j] * dy_[i].values<double>()[j];
      }
    }
    return sum;
  }

  std::vector<Tensor> gradients() {
    executor_->run(0, t_.forward_nodes);
    for (size_t i = 0; i < dy_.size(); ++i) {
      const ir::TensorView into = executor_->mutable_view(t_.loss_gradients[i]);
      const Tensor dy = dy_[i].cast(into.dtype());
      if (dy.size() > 0) std::memcpy(into.data, dy.data(), dy.size_bytes());
    }
    executor_->run(t_.forward_nodes, t_.graph.nodes.size());
    std::vector<Tensor> all;
    for (size_t i = 0; i < t_.gradients.size(); ++i) {
      const ValueId id = t_.gradients[i];
      all.push_back(id == kNoValue ? Tensor() : copy_of(executor_->view(id)));
      if (id == kNoValue) continue;
      CHECK_MESSAGE(t_.graph.type(id) == t_.graph.type(t_.parameters[i]), "gradient of ",
                    t_.graph.value(t_.parameters[i]).name, " is ", to_string(t_.graph.type(id)));
    }
    return all;
  }

  std::vector<Tensor>& values() { return values_; }
  const std::string& name(size_t i) const { return t_.graph.value(t_.parameters[i]).name; }

 private:
  train::TrainingGraph t_;
  std::unique_ptr<Executor> executor_;
  std::vector<Tensor> values_;  // the executor reads them
  std::vector<Tensor> dy_;
};

// Central differences of the loss by up to 40 elements of every input.
void check_differences(Trainer& trainer, const std::vector<Tensor>& gradients, double slack) {
  constexpr double kStep = 1e-5;
  Rng rng(kSeed + 2);
  for (size_t p = 0; p < gradients.size(); ++p) {
    if (gradients[p].empty()) continue;
    const auto dx = gradients[p].values<double>();
    double scale = 1;
    for (const double d : dx) scale = std::max(scale, std::abs(d));
    auto x = trainer.values()[p].mutable_values<double>();
    for (const int64_t at : rng.permutation(std::min<int64_t>(gradients[p].size(), 40))) {
      const auto i = gradients[p].size() <= 40
                         ? static_cast<size_t>(at)
                         : static_cast<size_t>(rng.below(static_cast<uint64_t>(dx.size())));
      const double before = x[i];
      x[i] = before + kStep;
      const double above = trainer.loss();
      x[i] = before - kStep;
      const double below = trainer.loss();
      x[i] = before;
      const double expected = (above - below) / (2 * kStep);
      CHECK_MESSAGE(std::abs(dx[i] - expected) <= 1e-6 * scale * slack, "gradient of ",
                    trainer.name(p), " at ", i, " is ", dx[i], ", differences give ", expected);
    }
  }
}

void check_gradients(const ir::OpDef& op, const Graph& wide, const Graph& single, double slack) {
  const ops::Gradient* facet = ops::find_gradient(op);
  if (facet == nullptr || facet->grad == nullptr) return;
  const bool all_floating = std::all_of(wide.outputs.begin(), wide.outputs.end(), [&](ValueId id) {
    return is_floating(wide.type(id).dtype);
  });
  if (wide.parameters().empty() || !all_floating) return;
  Trainer trainer(wide, {.reference_only = true});
  const std::vector<Tensor> expected = trainer.gradients();
  check_differences(trainer, expected, slack);
  ThreadPool pool(2);
  for (const bool reference_only : {true, false}) {
    Trainer other(single, {.reference_only = reference_only, .pool = &pool});
    const std::vector<Tensor> got = other.gradients();
    REQUIRE(got.size() == expected.size());
    for (size_t i = 0; i < got.size(); ++i) {
      INFO("gradient of ", trainer.name(i), reference_only ? " by references" : " by kernels");
      CHECK(distance(got[i], expected[i]) <= 2e-5 * slack);
    }
  }
}

void check_half(const ir::OpDef& op, const OpCase& c, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> rounded = inputs;
  for (Tensor& t : rounded) {
    if (!t.empty() && is_floating(t.dtype())) t = t.cast(DType::kF16).cast(DType::kF64);
  }
  const Result<Graph> half = one_node(op, c, rounded, DType::kF16);
  const Result<Graph> wide = one_node(op, c, rounded, DType::kF64);
  if (!half.ok() || !wide.ok()) return;  // the operator is for other dtypes
  expect_near(run_once(*half, {}), run_once(*wide, {.reference_only = true}), 2e-3 * c.slack,
              "float16 against float64");
}

void check_case(const ir::OpDef& op, const OpCase& c) {
  const std::vector<Tensor> inputs = draw_inputs(c, kSeed);
  const Result<Graph> wide = one_node(op, c, inputs, DType::kF64);
  const Result<Graph> single = one_node(op, c, inputs, DType::kF32);
  REQUIRE_MESSAGE(wide.ok(), wide.error().message);
  REQUIRE_MESSAGE(single.ok(), single.error().message);
  check_writes_everything(*single);
  check_open_shapes(op, *single);
  const std::vector<Tensor> exact = run_once(*wide, {.reference_only = true});
  expect_near(run_once(*single, {.reference_only = true}), exact, 2e-6 * c.slack,
              "float32 reference against float64");
  ThreadPool pool(2);
  for (const bool is_packed : {true, false}) {
    for (ThreadPool* threads : {static_cast<ThreadPool*>(nullptr), &pool}) {
      expect_near(run_once(*single, {.constant_parameters = is_packed, .pool = threads}), exact,
                  1e-5 * c.slack, "CPU kernel against the reference");
    }
  }
  check_half(op, c, inputs);
  if (c.has_gradient) check_gradients(op, *wide, *single, c.slack);
}

}  // namespace

void check_op(const ir::OpDef& op, const std::vector<OpCase>& cases) {
  for (const OpCase& c : cases) {
    INFO(op.name, ": ", c.why, " (seed ", kSeed, ")");
    check_case(op, c);
  }
}

Tensor tensor(const Shape& shape, const std::vector<float>& values) {
  REQUIRE(shape.num_elements() == static_cast<int64_t>(values.size()));
  return Tensor::from(values, shape);
}

std::vector<Tensor> run(const ir::OpDef& op, const std::vector<Tensor>& inputs,
                        const ir::Attrs& attrs) {
  OpCase c{.why = "", .attrs = attrs};
  for (const Tensor& t : inputs) c.in.push_back(t.shape());
  const Result<Graph> graph = one_node(op, c, inputs, DType::kF32);
  REQUIRE_MESSAGE(graph.ok(), graph.error().message);
  return run_once(*graph, {.reference_only = true});
}

std::vector<Tensor> run_training(const ir::OpDef& op, const std::vector<Tensor>& inputs,
                                 const ir::Attrs& attrs, int64_t step) {
  OpCase c{.why = "", .attrs = attrs};
  for (const Tensor& t : inputs) c.in.push_back(t.shape());
  const Result<Graph> graph = one_node(op, c, inputs, DType::kF32);
  REQUIRE_MESSAGE(graph.ok(), graph.error().message);
  return Trainer(*graph, {.reference_only = true}).outputs(step);
}

bool all_near(const Tensor& got, const std::vector<float>& expected, double tolerance) {
  const Tensor wide = got.cast(DType::kF64);
  const auto values = wide.values<double>();
  bool is_near = values.size() == expected.size();
  for (size_t i = 0; is_near && i < expected.size(); ++i) {
    is_near = std::abs(values[i] - static_cast<double>(expected[i])) <= tolerance;
  }
  if (!is_near) MESSAGE("got ", str(values), ", expected ", str(expected));
  return is_near;
}

Result<std::vector<Shape>> infer_shapes(const ir::OpDef& op, const std::vector<Shape>& in,
                                        const ir::Attrs& attrs) {
  Graph graph;
  Builder b(graph);
  std::vector<ValueId> ids;
  for (const Shape& shape : in) {
    ids.push_back(shape == kAbsent ? kNoValue : b.input("x", {DType::kF32, shape, nullptr}));
  }
  std::vector<Shape> shapes;
  for (const ValueId id : b.add_multi(op, ids, attrs)) shapes.push_back(graph.type(id).shape);
  EW_TRY_VOID(b.status());
  return shapes;
}

}  // namespace ew::testing
