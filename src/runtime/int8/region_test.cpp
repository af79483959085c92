// Every kind of node against its integer reference, over random shapes, on every CPU target that
// this machine has: the bytes must be the same.
#include "runtime/int8/region.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "ir/ew/ew_file.h"
#include "ir/rewriter.h"
#include "ops/int8.h"
#include "ops/window.h"
#include "runtime/executor.h"

namespace ew::runtime::int8 {
namespace {

using ir::Attrs;
using ir::Graph;
using ir::QuantParams;
using ir::Tensor;
using ir::TensorType;
using ir::ValueId;
using kernels::CpuTarget;
using Ints = std::vector<int64_t>;

class Random {
 public:
  explicit Random(uint32_t seed) : rng_(seed) {}
  int64_t pick(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(rng_);
  }
  float real(float low, float high) {
    return std::uniform_real_distribution<float>(low, high)(rng_);
  }
  bool chance(int percent) { return pick(0, 99) < percent; }
  Tensor bytes(TensorType type, int64_t low = -128) {
    Tensor t(std::move(type));
    for (int8_t& v : t.mutable_values<int8_t>()) v = static_cast<int8_t>(pick(low, 127));
    return t;
  }

 private:
  std::mt19937 rng_;
};

std::shared_ptr<const QuantParams> params(float scale, int32_t zero) {
  return std::make_shared<const QuantParams>(QuantParams{{scale}, {zero}});
}

// One random quantised node, its graph's inputs being random bytes.
struct Case {
  Graph graph;
  std::vector<Tensor> inputs;
  std::string text;
};

class CaseMaker {
 public:
  explicit CaseMaker(uint32_t seed)
      : r_(seed), b_(c_.graph), lowest_weight_(seed % 5 == 0 ? -128 : -127) {}

  Random& random() { return r_; }

  ValueId input(Shape shape) {
    const int32_t zero = r_.chance(30) ? -128 : static_cast<int32_t>(r_.pick(-128, 127));
    return input(std::move(shape), params(r_.real(0.005F, 0.3F), zero));
  }
  ValueId input(Shape shape, std::shared_ptr<const QuantParams> quant) {
    TensorType type{DType::kI8, std::move(shape), std::move(quant)};
    c_.text += ir::to_string(type) + " ";
    c_.inputs.push_back(r_.bytes(type));
    return b_.input("x", type);
  }
  // An int8 kernel with its bias: per channel along `axis`, or per tensor.
  void kernel(ValueId x, Shape shape, int axis, int64_t channels, std::vector<ValueId>& in) {
    QuantParams q;
    const bool per_channel = r_.chance(80);
    q.axis = per_channel ? axis : -1;
    for (int64_t i = 0; i < (per_channel ? channels : 1); ++i) {
      q.scales.push_back(r_.real(0.001F, 0.02F));
      q.zero_points.push_back(0);
    }
    weight_scale_ = q.scales[0];
    const TensorType type{DType::kI8, std::move(shape), std::make_shared<const QuantParams>(q)};
    // Writers keep weights from -128, but a file may hold it.
    in.push_back(b_.constant(r_.bytes(type, lowest_weight_)));
    if (r_.chance(20)) return;
    Tensor bias(DType::kI32, Shape{channels});
    for (int32_t& v : bias.mutable_values<int32_t>()) {
      v = static_cast<int32_t>(r_.pick(-9000, 9000));
    }
    in.push_back(b_.constant(std::move(bias)));
    static_cast<void>(x);
  }
  Attrs clamp() {
    switch (r_.pick(0, 3)) {
      case 0:
        return {{"clamp_min", 0.0}};
      case 1:
        return {{"clamp_min", 0.0}, {"clamp_max", 6.0}};
      case 2:
        return {{"clamp_min", -1.5}, {"clamp_max", 2.0}};
      default:
        return {};
    }
  }
  float weight_scale() const { return weight_scale_; }
  float scale_of(ValueId id) { return b_.type(id).quant->scales[0]; }

  /// Adds a node whose output has the quantisation `quant`.
  ValueId add(const ir::OpDef& op, std::vector<ValueId> in, Attrs attrs,
              std::shared_ptr<const QuantParams> quant) {
    c_.text += std::string(op.name) + " {";
    for (const auto& [name, value] : attrs) c_.text += name + "=" + ir::attr_text(value) + " ";
    c_.text += "} ";
    const ValueId y = b_.add(op, std::move(in), std::move(attrs));
    REQUIRE_MESSAGE(b_.ok(), c_.text, b_.ok() ? "" : b_.status().error().message);
    if (quant) {
      b_.graph().value(y).type.quant = std::move(quant);
      b_.graph().value(y).type.dtype = DType::kI8;
      c_.text += "-> " + ir::to_string(b_.type(y)) + " ";
    }
    return y;
  }
  // The output quantisation of a product of `taps` terms, of typical spread.
  std::shared_ptr<const QuantParams> product_quant(ValueId x, int64_t taps) {
    const float spread = scale_of(x) * weight_scale_ * 74 * 73 *
                         std::sqrt(static_cast<float>(std::max<int64_t>(taps, 1)));
    const float scale = spread * 4 / 255 * r_.real(0.1F, 2.F);
    const int32_t zero = r_.chance(50) ? -128 : static_cast<int32_t>(r_.pick(-128, 127));
    return params(scale, zero);
  }
  std::shared_ptr<const QuantParams> quant_of(ValueId id) { return b_.type(id).quant; }
  Shape shape_of(ValueId id) { return b_.shape(id); }
  std::shared_ptr<const QuantParams> any_quant() {
    return params(r_.real(0.01F, 0.3F), static_cast<int32_t>(r_.pick(-128, 127)));
  }
  Case finish(ValueId y) {
    c_.graph.outputs = {y};
    return std::move(c_);
  }

 private:
  Random r_;
  Case c_;
  ir::Builder b_;
  int64_t lowest_weight_;
  float weight_scale_ = 1;
};

std::vector<CpuTarget> targets() {
  std::vector<CpuTarget> found;
  for (const CpuTarget t : kernels::kCpuTargets) {
    if (kernels::is_supported(t)) found.push_back(t);
  }
  return found;
}

std::vector<Tensor> run_case(const Case& c, const ExecutorOptions& options, bool expect_region) {
  auto executor = Executor::create(c.graph, options);
  REQUIRE_MESSAGE(executor.ok(), c.text);
  if (expect_region) CHECK_MESSAGE(!(*executor)->regions().empty(), c.text);
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    REQUIRE((*executor)->set_input(i, c.inputs[i]).ok());
  }
  (*executor)->run();
  (*executor)->run();  // buffers are used again: a border that was overwritten would show
  std::vector<Tensor> out;
  for (size_t i = 0; i < c.graph.outputs.size(); ++i) out.push_back((*executor)->output(i));
  return out;
}

// The case as an `.ew` file with constants packed for `target`.
Case through_file(const Case& c, CpuTarget target,
                  std::shared_ptr<const ir::PackedSection>& packed) {
  const auto executor = Executor::create(c.graph, {.int8_target = target});
  REQUIRE_MESSAGE(executor.ok(), c.text);
  ir::Model model;
  model.graph = c.graph;
  const auto section = (*executor)->packed();
  const auto bytes = ir::write_ew(model, section ? &*section : nullptr);
  REQUIRE_MESSAGE(bytes.ok(), c.text);
  auto read = ir::read_ew(MappedFile::copy_of(*bytes), ops::find_op);
  REQUIRE_MESSAGE(read.ok(), c.text, read.ok() ? "" : read.error().message);
  packed = read->packed;
  return {std::move(read->graph), c.inputs, "from a file: " + c.text};
}

void check_case(const Case& c, bool expect_region = true) {
  const std::vector<Tensor> expected = run_case(c, {.reference_only = true}, false);
  for (const CpuTarget target : targets()) {
    std::vector<Tensor> found = run_case(c, {.int8_target = target}, expect_region);
    std::shared_ptr<const ir::PackedSection> packed;
    const Case in_file = through_file(c, target, packed);
    const auto executor =
        Executor::create(in_file.graph, {.int8_target = target, .packed = packed});
    REQUIRE_MESSAGE(executor.ok(), c.text);
    for (const Region* region : (*executor)->regions()) {
      CHECK_MESSAGE(region->is_from_file(), in_file.text);
    }
    for (Tensor& y : run_case(in_file, {.int8_target = target, .packed = packed}, expect_region)) {
      found.push_back(std::move(y));
    }
    for (size_t n = 0; n < found.size(); ++n) {
      const size_t i = n % expected.size();
      const auto* a = static_cast<const uint8_t*>(expected[i].data());
      const auto* b = static_cast<const uint8_t*>(found[n].data());
      size_t wrong = 0;
      size_t first = 0;
      for (size_t k = 0; k < expected[i].size_bytes(); ++k) {
        if (a[k] != b[k] && wrong++ == 0) first = k;
      }
      CHECK_MESSAGE(wrong == 0, std::string(kernels::to_string(target)), ": ", wrong, " of ",
                    expected[i].size_bytes(), " bytes differ, the first at ", first, ": ", c.text);
    }
  }
}

Attrs window_attrs(Random& r, int spatial, bool may_dilate) {
  Attrs attrs;
  Ints strides;
  Ints dilations;
  for (int d = 0; d < spatial; ++d) {
    strides.push_back(r.chance(60) ? 1 : r.pick(1, 3));
    dilations.push_back(!may_dilate || strides.back() > 1 || r.chance(75) ? 1 : r.pick(1, 3));
  }
  attrs.set("strides", strides);
  if (may_dilate) attrs.set("dilations", dilations);
  if (r.chance(60)) {
    attrs.set("padding", std::string("same"));
  } else if (r.chance(30)) {
    Ints pads;
    for (int i = 0; i < 2 * spatial; ++i) pads.push_back(r.pick(0, 2));
    attrs.set("padding", std::string("explicit"));
    attrs.set("pads", pads);
  }
  return attrs;
}
void merge(Attrs& attrs, const Attrs& more) {
  for (const auto& [name, value] : more) attrs.set(name, value);
}

Case conv_case(uint32_t seed) {
  CaseMaker m(seed);
  Random& r = m.random();
  const bool is_flat = r.chance(15);
  const int64_t c = r.chance(50) ? r.pick(1, 20) : r.pick(1, 130);
  const int64_t o = r.chance(50) ? r.pick(1, 40) : r.pick(1, 140);
  const int64_t kh = r.chance(40) ? 1 : r.pick(1, 5);
  const int64_t kw = r.chance(40) ? 1 : r.pick(1, 5);
  const int64_t h = r.pick(9, 14);
  const int64_t w = r.chance(80) ? r.pick(9, 20) : r.pick(9, 40);
  const int64_t n = r.chance(80) ? 1 : 2;
  const ValueId x = m.input(is_flat ? Shape{n, w, c} : Shape{n, h, w, c});
  std::vector<ValueId> in{x};
  m.kernel(x, is_flat ? Shape{kw, c, o} : Shape{kh, kw, c, o}, is_flat ? 2 : 3, o, in);
  Attrs attrs = window_attrs(r, is_flat ? 1 : 2, true);
  merge(attrs, m.clamp());
  const auto quant = m.product_quant(x, kh * kw * c);
  return m.finish(m.add(ops::kConv, in, attrs, quant));
}

Case depthwise_case(uint32_t seed) {
  CaseMaker m(seed);
  Random& r = m.random();
  constexpr int64_t kUsual[] = {8, 16, 32, 64, 96, 128, 24, 4, 192};
  const int64_t c = r.chance(60) ? kUsual[r.pick(0, 8)] : r.pick(1, 150);
  const int64_t multiplier = c == 1 ? r.pick(1, 20) : r.chance(85) ? 1 : r.pick(2, 5);
  const int64_t kh = r.chance(60) ? 3 : r.pick(1, 9);
  const int64_t kw = r.chance(60) ? 3 : r.pick(1, 5);
  const int64_t n = r.chance(80) ? 1 : 2;
  const ValueId x = m.input({n, r.pick(9, 15), r.pick(9, 20), c});
  std::vector<ValueId> in{x};
  m.kernel(x, {kh, kw, c, multiplier}, 2, c * multiplier, in);
  Attrs attrs = window_attrs(r, 2, kh <= 4 && kw <= 4);
  merge(attrs, m.clamp());
  const auto quant = m.product_quant(x, kh * kw);
  return m.finish(m.add(ops::kDepthwiseConv, in, attrs, quant));
}

Case grouped_case(uint32_t seed) {
  CaseMaker m(seed);
  Random& r = m.random();
  const int64_t groups = r.pick(2, 5);
  const int64_t c = r.pick(1, 21);
  const int64_t o = r.pick(1, 40) * groups;
  const int64_t kh = r.pick(1, 3);
  const int64_t kw = r.pick(1, 4);
  const ValueId x = m.input({r.pick(1, 2), r.pick(9, 12), r.pick(9, 20), c * groups});
  std::vector<ValueId> in{x};
  m.kernel(x, {kh, kw, c, o}, 3, o, in);
  Attrs attrs = window_attrs(r, 2, true);
  attrs.set("groups", groups);
  merge(attrs, m.clamp());
  return m.finish(m.add(ops::kConv, in, attrs, m.product_quant(x, kh * kw * c)));
}

Case dense_case(uint32_t seed) {
  CaseMaker m(seed);
  Random& r = m.random();
  const int64_t k = r.chance(30) ? r.pick(1, 2000) : r.pick(1, 200);
  const int64_t o = r.pick(1, 150);
  const ValueId x = r.chance(70) ? m.input({1, k}) : m.input({r.pick(1, 3), r.pick(1, 9), k});
  std::vector<ValueId> in{x};
  m.kernel(x, {k, o}, 1, o, in);
  const auto quant = m.product_quant(x, k);
  return m.finish(m.add(ops::kDense, in, m.clamp(), quant));
}

Case pool_case(uint32_t seed) {
  CaseMaker m(seed);
  Random& r = m.random();
  const Shape shape{r.pick(1, 2), r.pick(4, 20), r.pick(4, 20), r.pick(1, 100)};
  const auto quant = m.any_quant();
  const ValueId x = m.input(shape, quant);
  const bool is_global = r.chance(30);
  Attrs attrs = is_global ? Attrs() : window_attrs(r, 2, false);
  attrs.set("pool", is_global ? Ints{shape[1], shape[2]} : Ints{r.pick(3, 4), r.pick(3, 4)});
  return m.finish(m.add(r.chance(60) ? ops::kAvgPool : ops::kMaxPool, {x}, attrs, quant));
}

Case mean_case(uint32_t seed) {
  CaseMaker m(seed);
  Random& r = m.random();
  const ValueId x = m.input({r.pick(1, 2), r.pick(1, 30), r.pick(1, 12), r.pick(1, 300)});
  const auto quant =
      params(m.scale_of(x) * r.real(0.3F, 1.2F), static_cast<int32_t>(r.pick(-128, 127)));
  return m.finish(
      m.add(ops::kReduceMean, {x}, {{"axes", Ints{1, 2}}, {"keepdims", r.chance(50)}}, quant));
}

Case sum_case(uint32_t seed) {
  CaseMaker m(seed);
  Random& r = m.random();
  const Shape shape{r.pick(1, 2), r.pick(1, 9), r.pick(1, 9), r.pick(1, 70)};
  const ValueId a = m.input(shape);
  const ValueId b = m.input(shape);
  const auto quant = params(std::max(m.scale_of(a), m.scale_of(b)) * r.real(0.4F, 2.F),
                            static_cast<int32_t>(r.pick(-128, 127)));
  return m.finish(m.add(r.chance(80) ? ops::kAdd : ops::kSub, {a, b}, m.clamp(), quant));
}

Case softmax_case(uint32_t seed) {
  CaseMaker m(seed);
  Random& r = m.random();
  const ValueId x = r.chance(50) ? m.input({1, r.pick(1, 300)})
                                 : m.input({1, r.pick(1, 4), r.pick(1, 4), r.pick(1, 20)});
  return m.finish(m.add(ops::kSoftmax, {x}, {}, params(1.F / 256, -128)));
}

Case layout_case(uint32_t seed) {
  CaseMaker m(seed);
  Random& r = m.random();
  const Shape shape{r.pick(1, 2), r.pick(1, 9), r.pick(1, 9), r.pick(1, 70)};
  const auto quant = m.any_quant();
  const ValueId x = m.input(shape, quant);
  switch (r.pick(0, 3)) {
    case 0: {
      Ints pads;
      for (int i = 0; i < 8; ++i) pads.push_back(r.pick(0, 2));
      return m.finish(
          m.add(ops::kPad, {x}, {{"pads", pads}, {"value", r.chance(70) ? 0.0 : 0.3}}, quant));
    }
    case 1: {
      Shape other = shape;
      const int axis = static_cast<int>(r.chance(50) ? 3 : r.pick(0, 2));
      other[axis] = r.pick(1, 40);
      const ValueId b = m.input(other);
      const int64_t named = r.chance(50) ? axis - 4 : axis;
      const ValueId y = m.add(ops::kConcat, {x, b}, {{"axis", named}}, quant);
      if (r.chance(50)) return m.finish(y);
      // A reader that wants a border.
      return m.finish(m.add(ops::kMaxPool, {y},
                            {{"pool", Ints{1, 1}}, {"padding", std::string("same")}}, quant));
    }
    case 2:
      return m.finish(m.add(ops::kQuantize, {x}, {}, m.any_quant()));
    default:
      return m.finish(m.add(ops::kDequantize, {x}, {}, nullptr));
  }
}

Case unary_case(uint32_t seed) {
  CaseMaker m(seed);
  Random& r = m.random();
  const ValueId x = m.input({1, r.pick(1, 9), r.pick(1, 9), r.pick(1, 30)});
  const ir::OpDef* const ops[] = {&ops::kRelu, &ops::kRelu6, &ops::kSigmoid, &ops::kTanh,
                                  &ops::kLeakyRelu};
  const ir::OpDef* op = ops[r.pick(0, 4)];
  const auto quant = op == &ops::kSigmoid ? params(1.F / 256, -128)
                     : op == &ops::kTanh  ? params(1.F / 128, 0)
                                          : m.any_quant();
  return m.finish(m.add(*op, {x}, {}, quant));
}

// So many sums a step that one scale of 24 bits often is not enough: pointwise or dense.
Case many_sums_case(uint32_t seed) {
  CaseMaker m(seed);
  Random& r = m.random();
  const int64_t k = r.pick(900, 1400);
  const int64_t channels = r.pick(3, 140);
  const bool is_dense = r.chance(30);
  const ValueId x = m.input(is_dense ? Shape{2, k} : Shape{1, r.pick(1, 3), r.pick(1, 9), k});
  std::vector<ValueId> in{x};
  m.kernel(x, is_dense ? Shape{k, channels} : Shape{1, 1, k, channels}, is_dense ? 1 : 3, channels,
           in);
  const auto quant = m.product_quant(x, k);
  return m.finish(m.add(is_dense ? ops::kDense : ops::kConv, in, m.clamp(), quant));
}

// A small net: convolutions, residual sums, poolings, then dense and softmax.
Case net_case(uint32_t seed) {
  CaseMaker m(seed);
  Random& r = m.random();
  int64_t c = r.pick(1, 4);
  ValueId x = m.input({r.chance(80) ? 1 : 2, r.pick(12, 24), r.pick(12, 24), c});
  const auto conv = [&](ValueId from, int64_t kernel, int64_t channels, int64_t stride) {
    std::vector<ValueId> in{from};
    m.kernel(from, {kernel, kernel, c, channels}, 3, channels, in);
    Attrs attrs{{"padding", std::string("same")}, {"strides", Ints{stride, stride}}};
    merge(attrs, m.clamp());
    const auto quant = m.product_quant(from, kernel * kernel * c);
    return m.add(ops::kConv, in, attrs, quant);
  };
  const int64_t blocks = r.pick(1, 4);
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t stride = i < 2 && r.chance(40) ? 2 : 1;
    if (r.chance(50)) {  // depthwise and pointwise
      std::vector<ValueId> in{x};
      m.kernel(x, {3, 3, c, 1}, 2, c, in);
      const auto quant = m.product_quant(x, 9);
      x = m.add(ops::kDepthwiseConv, in,
                {{"padding", std::string("same")}, {"strides", Ints{stride, stride}}}, quant);
      const int64_t channels = r.pick(4, 80);
      x = conv(x, 1, channels, 1);
      c = channels;
    } else {  // two convolutions beside their input
      const int64_t channels = 8 * r.pick(1, 5);
      x = conv(x, 3, channels, stride);
      c = channels;
      const ValueId y = conv(conv(x, 3, c, 1), 3, c, 1);
      const auto quant = m.any_quant();
      x = m.add(ops::kAdd, {x, y}, {{"clamp_min", 0.0}}, quant);
    }
  }
  const auto same = m.quant_of(x);
  const Shape shape = m.shape_of(x);
  if (r.chance(60)) {
    x = m.add(ops::kAvgPool, {x}, {{"pool", Ints{shape[1], shape[2]}}}, same);
  } else {
    x = m.add(ops::kMaxPool, {x}, {{"pool", Ints{2, 2}}, {"strides", Ints{2, 2}}}, same);
  }
  x = m.add(ops::kReshape, {x}, {{"shape", Ints{0, -1}}}, same);
  const int64_t k = m.shape_of(x)[1];
  std::vector<ValueId> in{x};
  m.kernel(x, {k, 10}, 1, 10, in);
  const auto quant = m.product_quant(x, k);
  x = m.add(ops::kDense, in, {}, quant);
  return m.finish(m.add(ops::kSoftmax, {x}, {}, params(1.F / 256, -128)));
}

void check_many(Case (*make)(uint32_t), uint32_t first, uint32_t count) {
  for (uint32_t seed = first; seed < first + count; ++seed) {
    Case c = make(seed);
    c.text = "seed " + std::to_string(seed) + ": " + c.text;
    c.graph.int8_profile = seed % 8 == 6   ? ir::Int8Profile::kLitertRef
                           : seed % 8 == 7 ? ir::Int8Profile::kXnnpack
                                           : ir::Int8Profile::kTflm;
    check_case(c);
  }
}

TEST_CASE("int8 region: convolutions equal their reference") { check_many(conv_case, 1000, 150); }
TEST_CASE("int8 region: depthwise convolutions equal their reference") {
  check_many(depthwise_case, 2000, 200);
}
TEST_CASE("int8 region: grouped convolutions equal their reference") {
  check_many(grouped_case, 12000, 60);
}
TEST_CASE("int8 region: dense layers equal their reference") { check_many(dense_case, 3000, 100); }
TEST_CASE("int8 region: poolings equal their reference") { check_many(pool_case, 4000, 80); }
TEST_CASE("int8 region: means equal their reference") { check_many(mean_case, 5000, 60); }
TEST_CASE("int8 region: sums and differences equal their reference") {
  check_many(sum_case, 6000, 40);
}
TEST_CASE("int8 region: softmax equals its reference") { check_many(softmax_case, 7000, 60); }
TEST_CASE("int8 region: pad, concat, quantize and dequantize equal their references") {
  check_many(layout_case, 8000, 80);
}
TEST_CASE("int8 region: tables equal their references") { check_many(unary_case, 9000, 40); }
TEST_CASE("int8 region: whole nets equal their references") { check_many(net_case, 10000, 60); }

// Large enough to be shared out: rows, columns of one long row, blocks of channels.
Case large_case(uint32_t seed) {
  CaseMaker m(seed);
  Random& r = m.random();
  const int64_t n = r.pick(1, 2);
  const int64_t h = r.pick(21, 40);
  const int64_t w = r.pick(33, 40);
  const auto conv = [&](ValueId from, int64_t kernel, int64_t channels, int64_t stride) {
    const int64_t c = m.shape_of(from)[3];
    std::vector<ValueId> in{from};
    m.kernel(from, {kernel, kernel, c, channels}, 3, channels, in);
    Attrs attrs{{"padding", std::string("same")}, {"strides", Ints{stride, stride}}};
    merge(attrs, m.clamp());
    return m.add(ops::kConv, in, attrs, m.product_quant(from, kernel * kernel * c));
  };
  ValueId x = conv(m.input({n, h, w, r.pick(3, 9)}), 3, 8 * r.pick(4, 6), 1);
  const int64_t c = m.shape_of(x)[3];
  std::vector<ValueId> in{x};
  m.kernel(x, {3, 3, c, 1}, 2, c, in);
  const int64_t stride = r.pick(1, 2);
  const ValueId y = m.add(ops::kDepthwiseConv, in,
                          {{"padding", std::string("same")}, {"strides", Ints{stride, stride}}},
                          m.product_quant(x, 9));
  const ValueId left = conv(y, 1, 16 * r.pick(3, 5), 1);
  const ValueId right = conv(x, 3, m.shape_of(left)[3], stride);
  x = m.add(ops::kAdd, {left, right}, m.clamp(), m.any_quant());
  x = m.add(ops::kMaxPool, {x}, {{"pool", Ints{4, 4}}, {"strides", Ints{4, 4}}}, m.quant_of(x));
  x = m.add(ops::kReshape, {x}, {{"shape", Ints{0, -1}}}, m.quant_of(x));
  const int64_t k = m.shape_of(x)[1];
  const int64_t outputs = r.pick(200, 300);
  std::vector<ValueId> dense{x};
  m.kernel(x, {k, outputs}, 1, outputs, dense);
  return m.finish(m.add(ops::kDense, dense, {}, m.product_quant(x, k)));
}

TEST_CASE("int8 region: every number of threads gives the same bytes") {
  for (uint32_t seed = 11000; seed < 11006; ++seed) {
    const Case c = large_case(seed);
    const std::vector<Tensor> expected = run_case(c, {.reference_only = true}, false);
    for (const CpuTarget target : targets()) {
      for (const int threads : {1, 2, 5}) {
        ThreadPool pool(threads);
        const std::vector<Tensor> found = run_case(c, {.int8_target = target, .pool = &pool}, true);
        REQUIRE(found.size() == expected.size());
        CHECK_MESSAGE(
            std::memcmp(found[0].data(), expected[0].data(), expected[0].size_bytes()) == 0,
            std::string(kernels::to_string(target)), ", ", threads, " threads: ", c.text);
      }
    }
  }
}

TEST_CASE("int8 region: floats are quantised as the definition says, to the last tie") {
  // Ties, infinities, not-a-number, beyond every bound; more than one vector and a rest.
  std::vector<float> values;
  for (int i = -300; i <= 300; ++i) values.push_back(0.25F * static_cast<float>(i));
  for (const float v : {INFINITY, -INFINITY, NAN, 1e30F, -1e30F, -0.0F, 1e-40F})
    values.push_back(v);
  for (const auto& [scale, zero] : {std::pair(0.5F, 3), std::pair(0.0037F, -128)}) {
    ir::Graph graph;
    ir::Builder b(graph);
    const auto n = static_cast<int64_t>(values.size());
    const ValueId x = b.input("x", TensorType{DType::kF32, Shape{1, n}, nullptr});
    const ValueId y = b.add(ops::kQuantize, {x});
    b.graph().value(y).type = TensorType{DType::kI8, Shape{1, n}, params(scale, zero)};
    REQUIRE(b.ok());
    graph.outputs = {y};
    Case c{.graph = std::move(graph), .inputs = {}, .text = "quantize"};
    Tensor input(DType::kF32, Shape{1, n});
    std::copy(values.begin(), values.end(), input.mutable_values<float>().begin());
    c.inputs.push_back(std::move(input));
    check_case(c);
  }
}

TEST_CASE("int8 region: nearly every block of channels has a proved form") {
  // Without it every test above would pass by the slow exact functions alone.
  int64_t blocks = 0;
  int64_t exact = 0;
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const Case c = conv_case(seed);
    const auto executor = Executor::create(c.graph, {});
    REQUIRE(executor.ok());
    for (const Region* region : (*executor)->regions()) {
      blocks += region->block_count();
      exact += region->exact_block_count();
    }
  }
  CHECK(blocks > 40);
  CHECK(exact * 10 < blocks);
}

// The output of a region that is the whole graph.
std::vector<uint8_t> run_region(const Case& c, Region& region) {
  const ir::TensorType& type = c.graph.type(c.graph.outputs[0]);
  std::vector<uint8_t> y(static_cast<size_t>(type.shape.num_elements()));
  const ir::ConstTensorView in{&c.inputs[0].type(), c.inputs[0].data()};
  const ir::TensorView out{&type, y.data()};
  region.run({&in, 1}, {&out, 1}, nullptr, nullptr);
  return y;
}

TEST_CASE("int8 region: a file's constants for two scales run in a build without such kernels") {
  for (const CpuTarget target : targets()) {
    const kernels::int8::Int8Table& full = kernels::int8::int8_kernels(target);
    if (!full.has_fine) continue;
    kernels::int8::Int8Table small = full;
    small.has_fine = false;
    int64_t replaced = 0;
    for (uint32_t seed = 0; seed < 30; ++seed) {
      const Case c = many_sums_case(seed);
      RegionOptions options;
      options.is_needed_outside.assign(c.graph.values.size(), true);
      const size_t nodes = c.graph.nodes.size();
      const auto region = Region::build(c.graph, 0, nodes, options, full);
      const ir::PackedPart part = region->packed();
      options.packed = &part;
      const auto without = Region::build(c.graph, 0, nodes, options, small);
      CHECK(without->packed().block.data() == part.block.data());  // nothing was packed again
      CHECK(run_region(c, *without) == run_region(c, *region));
      replaced += without->exact_block_count() - region->exact_block_count();
    }
    CHECK(replaced > 5);
  }
}

}  // namespace
}  // namespace ew::runtime::int8
