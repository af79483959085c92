#include <doctest/doctest.h>

#include "formats/keras/lowering.h"
#include "runtime/executor.h"
#include "testing/keras_layer.h"
#include "testing/op_check.h"

namespace ew::testing {
namespace {

// The einsum of two graph inputs by loops over all labels, as a definition.
std::vector<float> by_definition(const std::string& equation, const ir::Tensor& x,
                                 const ir::Tensor& y, const std::map<char, int64_t>& sizes) {
  const std::string lx = equation.substr(0, equation.find(','));
  const std::string ly = equation.substr(lx.size() + 1, equation.find("->") - lx.size() - 1);
  const std::string out = equation.substr(equation.find("->") + 2);
  std::string labels;
  int64_t total = 1;
  for (const auto& [label, size] : sizes) {
    labels += label;
    total *= size;
  }
  int64_t count = 1;
  for (const char label : out) count *= sizes.at(label);
  std::vector<float> z(static_cast<size_t>(count), 0);
  for (int64_t i = 0; i < total; ++i) {
    std::map<char, int64_t> at;
    int64_t rest = i;
    for (const char label : labels) {
      at[label] = rest % sizes.at(label);
      rest /= sizes.at(label);
    }
    const auto index = [&](const std::string& operand) {
      int64_t flat = 0;
      for (const char label : operand) flat = flat * sizes.at(label) + at[label];
      return static_cast<size_t>(flat);
    };
    z[index(out)] += x.values<float>()[index(lx)] * y.values<float>()[index(ly)];
  }
  return z;
}

Result<std::vector<ir::Tensor>> run_einsum(const std::string& equation,
                                           const std::vector<ir::Tensor>& inputs) {
  ir::Graph graph;
  ir::Builder b(graph);
  std::vector<ir::ValueId> ids;
  for (const ir::Tensor& x : inputs) {
    ir::TensorType type = x.type();
    if (type.shape.rank() > 0) type.shape[0] = kUnknown;
    ids.push_back(b.input("x", type));
  }
  graph.outputs = {formats::einsum(b, equation, ids)};
  EW_TRY_VOID(b.status());
  return runtime::run_graph(graph, inputs, {.reference_only = true});
}

}  // namespace

TEST_CASE("einsum: agrees with loops over all labels, with open first dimensions") {
  const std::map<char, int64_t> size = {{'a', 2}, {'b', 3}, {'c', 4}, {'d', 2}, {'e', 3}};
  for (const char* equation :
       {"ab,bc->ac", "ab,cb->ca", "abc,acd->abd", "abc,cd->dab", "abc,acd->dba", "ab,c->abc",
        "abc,abc->a", "abc,bc->a", "abcd,abce->abde", "abc,ad->abcd", "ab,ab->ab", "abc,cd->ad",
        "ab,ab->"}) {
    const std::string text = equation;
    const std::string lx = text.substr(0, text.find(','));
    const std::string ly = text.substr(lx.size() + 1, text.find("->") - lx.size() - 1);
    const auto draw = [&](const std::string& labels, float sign) {
      Shape shape;
      for (const char label : labels) shape.dims().push_back(size.at(label));
      ir::Tensor t = random_tensor(shape);
      for (float& v : t.mutable_values<float>()) v = v * v * sign + v;
      return t;
    };
    const ir::Tensor x = draw(lx, 1);
    const ir::Tensor y = draw(ly, -1);
    std::map<char, int64_t> used;
    for (const char label : lx + ly) used[label] = size.at(label);
    INFO(text);
    const auto z = run_einsum(text, {x, y});
    REQUIRE_MESSAGE(z.ok(), z.error().message);
    CHECK(all_near((*z)[0], by_definition(text, x, y, used), 1e-5));
  }
}

TEST_CASE("einsum: refuses what it does not understand") {
  const ir::Tensor x = random_tensor({2, 2});
  for (const char* equation : {"aa,ab->b", "ab,bc", "ab,bc->ad", "abc,cd->abd", "ab->ab->a", ""}) {
    INFO(equation);
    CHECK_FALSE(run_einsum(equation, {x, x}).ok());
  }
  CHECK_FALSE(run_einsum("ab,bc,cd->ad", {x, x, x}).ok());
}

TEST_CASE("einsum_dense: refuses an equation that leaves the kernel's shape open") {
  LayerCase c{.class_name = "EinsumDense",
              .config = Config(Config::Map{{"equation", "abc,cd->abd"}, {"output_shape", 5}}),
              .x = random_tensor({2, 3, 4})};
  CHECK(refusal(c) == "");
  c.config.set("equation", "abc,cx->abd");
  CHECK(refusal(c).find("leaves the kernel's shape open") != std::string::npos);
  c.config.set("equation", "abcd,cd->abd");
  CHECK(refusal(c).find("does not fit an input of shape") != std::string::npos);
  c.config.set("equation", "->");
  CHECK(refusal(c).find("expected 'input,kernel->output'") != std::string::npos);
}

}  // namespace ew::testing
