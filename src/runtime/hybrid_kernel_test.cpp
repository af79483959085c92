// Fast hybrid products against their reference over random shapes, on every CPU target that this
// machine has, with and without threads. Integer sums are exact and all later roundings the
// reference's, so the bits must be the same.
#include "runtime/hybrid_kernel.h"

#include "runtime/cpu_facet.h"
#include "runtime/kernels/kernel_testing.h"

namespace ew::runtime {
namespace {

using ir::Tensor;
using kernels::CpuTarget;

class Random {
 public:
  explicit Random(uint32_t seed) : rng_(seed) {}
  int64_t pick(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(rng_);
  }
  Tensor reals(Shape shape, float low, float high) {
    Tensor t(DType::kF32, std::move(shape));
    std::uniform_real_distribution<float> uniform(low, high);
    for (float& v : t.mutable_values<float>()) v = uniform(rng_);
    return t;
  }
  /// Weights with a scale per entry of `axis`, or (-1) one scale.
  Tensor weights(Shape shape, int axis) {
    auto quant = std::make_shared<ir::QuantParams>();
    const int64_t count = axis < 0 ? 1 : shape.product(axis, shape.rank());
    for (int64_t i = 0; i < count; ++i) {
      quant->scales.push_back(0.01F + 0.0007F * static_cast<float>(i % 13));
      quant->zero_points.push_back(0);
    }
    quant->axis = axis;
    Tensor t({DType::kI8, std::move(shape), quant});
    for (int8_t& v : t.mutable_values<int8_t>()) v = static_cast<int8_t>(pick(-127, 127));
    return t;
  }

 private:
  std::mt19937 rng_;
};

struct Case {
  const ir::OpDef& op;
  ir::Attrs attrs;
  std::vector<Tensor> inputs;
};

ir::Attrs filled(const ir::OpDef& op, const ir::Attrs& given) {
  ir::Attrs attrs;
  for (const ir::AttrDef& def : op.attrs) attrs.set(def.name, def.default_value);
  for (const auto& [name, value] : given) attrs.set(name, value);
  return attrs;
}

using Make = std::unique_ptr<Kernel> (*)(const KernelContext&, const kernels::HybridTable&);

std::vector<const kernels::HybridTable*> tables() {
  std::vector<const kernels::HybridTable*> out;
  for (const CpuTarget target : kernels::targets()) {
    out.push_back(&kernels::hybrid_kernels(target));
    if (target == CpuTarget::kAvx512) out.push_back(&kernels::hybrid_kernels(target, false));
  }
  return out;
}

bool same_or_nan(std::span<const float> a, std::span<const float> b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0) return false;
  }
  return a.size() == b.size();
}

void check(const Case& given, Make make) {
  ir::Node node;
  node.op = &given.op;
  node.attrs = filled(given.op, given.attrs);
  std::vector<const ir::TensorType*> types;
  std::vector<const Tensor*> constants;
  std::vector<ir::ConstTensorView> views;
  for (const Tensor& t : given.inputs) {
    types.push_back(&t.type());
    constants.push_back(types.size() == 1 ? nullptr : &t);
    views.emplace_back(t);
  }
  const auto inferred = given.op.infer(types, node.attrs);
  REQUIRE(inferred.ok());
  Tensor want((*inferred)[0]);
  const ir::TensorView want_view(want);
  ir::evaluate(given.op, views, std::span(&want_view, 1), node.attrs);
  ThreadPool pool(kernels::kThreads);
  for (const kernels::HybridTable* table : tables()) {
    CAPTURE(std::string(table->name));
    const auto kernel = make({node, types, *inferred, constants}, *table);
    REQUIRE(kernel);
    for (ThreadPool* threads : {static_cast<ThreadPool*>(nullptr), &pool}) {
      Tensor got((*inferred)[0]);
      const ir::TensorView got_view(got);
      kernels::Workspace workspace(kernel->workspace_bytes());
      kernel->run(views, std::span(&got_view, 1), workspace.get(), threads);
      CHECK(same_or_nan(got.values<float>(), want.values<float>()));
    }
  }
}

TEST_CASE("hybrid convolution: the reference's bits for every tail, stride, padding and dilation") {
  Random r(1);
  for (int i = 0; i < 60; ++i) {
    CAPTURE(i);
    const int64_t kernel = r.pick(1, 3);
    const int64_t channels = r.pick(1, 19);
    const int64_t outputs = r.pick(1, 70);
    const int64_t height = r.pick(kernel * 2, 9);
    const int64_t width = r.pick(kernel * 2, 20);
    const std::vector<int64_t> strides{r.pick(1, 2), r.pick(1, 2)};
    const bool is_dilated = strides[0] == 1 && strides[1] == 1 && r.pick(0, 3) == 0;
    const int64_t batch = r.pick(1, 2);
    ir::Attrs attrs{{"strides", strides},
                    {"padding", std::string(r.pick(0, 1) == 0 ? "same" : "valid")},
                    {"asymmetric_inputs", r.pick(0, 1) == 0}};
    if (is_dilated) attrs.set("dilations", std::vector<int64_t>{2, 2});
    if (r.pick(0, 1) == 0) attrs.set("clamp_min", 0.0);
    Case c{ops::kConv, attrs, {}};
    c.inputs.push_back(r.reals({batch, height, width, channels}, -1.F, 3.F));
    c.inputs.push_back(r.weights({kernel, kernel, channels, outputs}, r.pick(0, 2) == 0 ? -1 : 3));
    if (r.pick(0, 2) > 0) c.inputs.push_back(r.reals({outputs}, -1, 1));
    check(c, hybrid_conv);
  }
}

TEST_CASE("hybrid convolution: one large enough for threads") {
  Random r(2);
  Case c{ops::kConv, {{"padding", std::string("same")}, {"asymmetric_inputs", true}}, {}};
  c.inputs.push_back(r.reals({1, 13, 60, 40}, -2, 1));
  c.inputs.push_back(r.weights({1, 1, 40, 72}, 3));
  check(c, hybrid_conv);
}

TEST_CASE("hybrid dense: a scale and a zero point for every row") {
  Random r(3);
  for (int i = 0; i < 40; ++i) {
    CAPTURE(i);
    const int64_t inputs = r.pick(1, 90);
    const int64_t outputs = r.pick(1, 150);
    Case c{ops::kDense, {{"asymmetric_inputs", r.pick(0, 1) == 0}, {"clamp_max", 6.0}}, {}};
    c.inputs.push_back(r.reals({r.pick(1, 3), r.pick(1, 8), inputs}, -5.F, 1.F));
    c.inputs.push_back(r.weights({inputs, outputs}, r.pick(0, 1) == 0 ? -1 : 1));
    if (r.pick(0, 1) == 0) c.inputs.push_back(r.reals({outputs}, -1, 1));
    check(c, hybrid_dense);
  }
}

TEST_CASE("hybrid depthwise: exact sums in the float kernel") {
  Random r(4);
  for (int i = 0; i < 30; ++i) {
    CAPTURE(i);
    const int64_t channels = r.pick(1, 70);
    const int64_t multiplier = r.pick(1, 4) == 1 ? 2 : 1;
    Case c{ops::kDepthwiseConv,
           {{"padding", std::string("same")}, {"asymmetric_inputs", r.pick(0, 1) == 0}},
           {}};
    c.inputs.push_back(r.reals({2, r.pick(3, 7), r.pick(3, 9), channels}, -1, 4));
    c.inputs.push_back(r.weights({3, 3, channels, multiplier}, 2));
    if (r.pick(0, 1) == 0) c.inputs.push_back(r.reals({channels * multiplier}, -1, 1));
    check(c, hybrid_depthwise);
  }
}

TEST_CASE("hybrid products: ties, zeros, one sign and values that are not finite") {
  Random r(5);
  const auto quarters = [](int64_t n, float offset) {
    Tensor t(DType::kF32, {1, n});
    float v = offset;
    for (float& x : t.mutable_values<float>()) x = v += 0.25F;
    return t;
  };
  const auto with = [](Tensor t, float value) {
    t.mutable_values<float>()[3] = value;
    return t;
  };
  for (const bool asymmetric : {false, true}) {
    CAPTURE(asymmetric);
    for (const Tensor& x :
         {quarters(254, -31.75F), quarters(255, 0), quarters(40, -20), Tensor(DType::kF32, {1, 30}),
          with(quarters(33, 0), std::numeric_limits<float>::infinity()),
          with(quarters(33, 0), std::numeric_limits<float>::quiet_NaN())}) {
      Case c{ops::kDense, {{"asymmetric_inputs", asymmetric}}, {}};
      c.inputs.push_back(x);
      c.inputs.push_back(r.weights({x.shape()[1], 21}, 1));
      check(c, hybrid_dense);
    }
  }
}

}  // namespace
}  // namespace ew::runtime
