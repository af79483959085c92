// The integer references against the bytes that TensorFlow Lite Micro and LiteRT's reference
// kernels compute (tests/data/int8/README.md).
#include "ops/int8.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "base/str.h"
#include "ops/unary/unary_i8.h"

namespace ew::ops {
namespace {

struct Golden {
  std::string op;
  std::string text;  // of the attributes, for messages
  std::map<std::string, std::string> attrs;
  std::vector<Tensor> inputs;
  Tensor tflm;
  Tensor litert;
};

std::vector<int64_t> numbers(const std::string& text) {
  std::vector<int64_t> values;
  for (const std::string& part : split(text, ',')) values.push_back(std::stoll(part));
  return values;
}

// "in x int8 1,8,8,3 <scales> <zero points> <bytes in hexadecimal>"
Tensor read_tensor(std::istringstream& line) {
  std::string name;
  std::string dtype;
  std::string shape;
  std::string scales;
  std::string zeros;
  std::string bytes;
  line >> name >> dtype >> shape >> scales >> zeros >> bytes;
  Tensor tensor(*parse_dtype(dtype), Shape(numbers(shape)));
  auto* target = static_cast<uint8_t*>(tensor.mutable_data());
  for (size_t i = 0; i < tensor.size_bytes(); ++i) {
    target[i] = static_cast<uint8_t>(std::stoi(bytes.substr(2 * i, 2), nullptr, 16));
  }
  if (scales != "-") {
    ir::QuantParams quant;
    for (const std::string& s : split(scales, ',')) {
      quant.scales.push_back(static_cast<float>(std::strtod(s.c_str(), nullptr)));
    }
    for (const int64_t z : numbers(zeros)) quant.zero_points.push_back(static_cast<int32_t>(z));
    tensor.set_quant(std::make_shared<const ir::QuantParams>(std::move(quant)));
  }
  return tensor;
}

std::vector<Golden> read_goldens() {
  std::ifstream file(EW_SOURCE_DIR "/tests/data/int8/goldens.txt");
  std::vector<Golden> goldens;
  for (std::string text; std::getline(file, text);) {
    std::istringstream line(text);
    std::string kind;
    line >> kind;
    if (kind == "case") {
      Golden& g = goldens.emplace_back();
      g.text = text;
      line >> g.op;
      for (std::string pair; line >> pair;) {
        g.attrs[pair.substr(0, pair.find('='))] = pair.substr(pair.find('=') + 1);
      }
    } else if (kind == "in") {
      goldens.back().inputs.push_back(read_tensor(line));
    } else if (kind == "tflm") {
      goldens.back().tflm = goldens.back().litert = read_tensor(line);
    } else if (kind == "litert") {
      goldens.back().litert = read_tensor(line);
    }
  }
  return goldens;
}

// Kernels are stored per channel; the axis follows from the operator.
void set_kernel_axis(Golden& g) {
  if (g.inputs.size() < 2 || g.inputs[1].type().quant->scales.size() < 2) return;
  ir::QuantParams quant = *g.inputs[1].type().quant;
  quant.axis = g.inputs[1].shape().rank() - (g.op == "depthwise_conv" ? 2 : 1);
  g.inputs[1].set_quant(std::make_shared<const ir::QuantParams>(std::move(quant)));
}

Attrs full_attrs(const OpDef& op, const std::map<std::string, std::string>& given) {
  Attrs attrs;
  for (const AttrDef& def : op.attrs) {
    attrs.set(def.name, def.default_value);
    const auto it = given.find(def.name);
    if (it == given.end()) continue;
    if (std::holds_alternative<std::string>(def.default_value))
      attrs.set(def.name, it->second);
    else if (std::holds_alternative<double>(def.default_value))
      attrs.set(def.name, std::stod(it->second));
    else
      attrs.set(def.name, numbers(it->second));
  }
  return attrs;
}

int64_t differences(const Golden& g, const Tensor& expected, Int8Profile profile) {
  const OpDef& op = *find_op(g.op);
  const Attrs attrs = full_attrs(op, g.attrs);
  std::vector<const TensorType*> types;
  std::vector<ConstTensorView> views;
  for (const Tensor& t : g.inputs) {
    types.push_back(&t.type());
    views.emplace_back(t);
  }
  const auto inferred = op.infer(types, attrs);
  REQUIRE_MESSAGE(inferred.ok(), g.text, ": ", inferred.error().message);
  REQUIRE(inferred->at(0).shape == expected.shape());
  Tensor y(expected.type());
  TensorView out(y);
  ir::evaluate(op, views, {&out, 1}, attrs, profile);
  int64_t count = 0;
  const auto* a = static_cast<const uint8_t*>(y.data());
  const auto* b = static_cast<const uint8_t*>(expected.data());
  for (size_t i = 0; i < y.size_bytes(); ++i) count += a[i] != b[i];
  return count;
}

TEST_CASE("int8: every reference gives the bytes of TensorFlow Lite Micro and of LiteRT") {
  std::vector<Golden> goldens = read_goldens();
  REQUIRE(goldens.size() >= 42);
  for (Golden& g : goldens) {
    set_kernel_axis(g);
    CHECK_MESSAGE(differences(g, g.tflm, Int8Profile::kTflm) == 0, g.text);
    CHECK_MESSAGE(differences(g, g.litert, Int8Profile::kLitertRef) == 0, g.text);
  }
}

TEST_CASE("int8: the profiles round dense layers differently") {
  // Otherwise the case above could not tell them apart.
  int64_t count = 0;
  for (Golden& g : read_goldens()) {
    set_kernel_axis(g);
    if (g.op == "dense") count += differences(g, g.litert, Int8Profile::kTflm);
  }
  CHECK(count > 0);
}

TEST_CASE("int8: xnnpack's float rounding is within one step of the fixed point") {
  for (Golden& g : read_goldens()) {
    if (g.op != "conv" && g.op != "dense" && g.op != "depthwise_conv") continue;
    set_kernel_axis(g);
    const OpDef& op = *find_op(g.op);
    std::vector<ConstTensorView> views(g.inputs.begin(), g.inputs.end());
    Tensor y(g.tflm.type());
    TensorView out(y);
    ir::evaluate(op, views, {&out, 1}, full_attrs(op, g.attrs), Int8Profile::kXnnpack);
    int worst = 0;
    for (int64_t i = 0; i < y.size(); ++i) {
      const auto at = static_cast<size_t>(i);
      worst = std::max(worst, std::abs(y.values<int8_t>()[at] - g.tflm.values<int8_t>()[at]));
    }
    CHECK(worst <= 1);
  }
}

TEST_CASE("int8: a multiplier is the nearest 31-bit fraction and a power of two") {
  CHECK(int8::quantize_multiplier(0.5) == int8::Multiplier{1 << 30, 0});
  CHECK(int8::quantize_multiplier(1) == int8::Multiplier{1 << 30, 1});
  CHECK(int8::quantize_multiplier(0.75) == int8::Multiplier{3 << 29, 0});
  CHECK(int8::quantize_multiplier(0) == int8::Multiplier{0, 0});
  CHECK(int8::quantize_multiplier(1e-12) == int8::Multiplier{0, 0});
  // 1 - 2^-40 rounds up to 2^31 / 2^31, which does not fit and becomes 2^30 with one more shift.
  CHECK(int8::quantize_multiplier(1 - 0x1p-40) == int8::Multiplier{1 << 30, 1});
}

TEST_CASE("int8: ties round upwards in the multiply and away from zero in the shift") {
  CHECK(int8::high_multiply(3, 1 << 30) == 2);    // 1.5
  CHECK(int8::high_multiply(-3, 1 << 30) == -1);  // -1.5
  constexpr int32_t kMin = std::numeric_limits<int32_t>::min();
  CHECK(int8::high_multiply(kMin, kMin) == std::numeric_limits<int32_t>::max());
  CHECK(int8::rounding_shift_right(3, 1) == 2);
  CHECK(int8::rounding_shift_right(-3, 1) == -2);
  CHECK(int8::rounding_shift_right(5, 0) == 5);
  // 0.375 * 3 = 1.125 rounds once to 1; 0.375 = 0.75 / 2: round(2.25) = 2, round(2 / 2) = 1.
  CHECK(int8::scale_twice_rounded(3, int8::quantize_multiplier(0.375)) == 1);
  // 0.1875 * 13 = 2.4375; twice rounded: round(13 * 0.75 = 9.75) = 10, round(10 / 4 = 2.5) = 3.
  CHECK(int8::scale_twice_rounded(13, int8::quantize_multiplier(0.1875)) == 3);
  CHECK(int8::scale_once_rounded(13, 0.1875) == 2);
}

TEST_CASE("int8: fixed-point functions are within 1e-6 of the real ones") {
  for (int i = 0; i <= 2000; ++i) {
    const double x = -i * 0.0155;
    const auto q5 = static_cast<int32_t>(std::llround(x * (1 << 26)));
    CHECK(std::abs(int8::exp_negative(q5, 5) * 0x1p-31 - std::exp(q5 * 0x1p-26)) < 1e-6);
  }
  for (int i = -1000; i <= 1000; ++i) {
    const auto q4 = static_cast<int32_t>(i) * (1 << 21);
    const double x = q4 * 0x1p-27;
    CHECK(std::abs(int8::sigmoid_q4(q4) * 0x1p-31 - 1 / (1 + std::exp(-x))) < 1e-6);
    CHECK(std::abs(int8::tanh_q4(q4) * 0x1p-31 - std::tanh(x)) < 1e-6);
  }
  for (const double x : {0.001, 0.7, 1.0, 5.3, 300.0}) {
    int exponent = 0;
    const auto raw = static_cast<int32_t>(x * (1 << 19));
    const double y = int8::reciprocal(raw, 12, exponent) * std::ldexp(1.0, -31 - exponent);
    CHECK(y * (raw * 0x1p-19) == doctest::Approx(1).epsilon(1e-6));
  }
}

TensorType quantised_type(float scale, int32_t zero) {
  return {DType::kI8, Shape{1},
          std::make_shared<const ir::QuantParams>(ir::QuantParams{{scale}, {zero}})};
}

TEST_CASE("int8: a fused activation clamps at the stored values of its bounds") {
  const TensorType y = quantised_type(0.05F, -28);
  const int8::Range relu = int8::quantized_range(0, std::numeric_limits<double>::infinity(), y);
  CHECK(relu.min == -28);
  CHECK(relu.max == 127);
  const int8::Range relu6 = int8::quantized_range(0, 6, y);
  CHECK(relu6.max == 92);  // 6 / 0.05 = 120, plus -28
  CHECK(int8::quantized_range(-100, 100, y).min == -128);
}

TEST_CASE("int8: every table is monotone and within one step of its function") {
  const TensorType x = quantised_type(0.04F, 11);
  const TensorType sigmoid_y = quantised_type(1.F / 256, -128);
  const TensorType tanh_y = quantised_type(1.F / 128, 0);
  Attrs none;
  const int8::Table sigmoid = unary_table(kSigmoid, x, sigmoid_y, none);
  const int8::Table tanh = unary_table(kTanh, x, tanh_y, none);
  for (int q = -128; q < 128; ++q) {
    const auto i = static_cast<size_t>(q + 128);
    const double real = 0.04 * (q - 11);
    CHECK(std::abs(sigmoid[i] + 128 - std::min(255.0, 256 / (1 + std::exp(-real)))) <= 1);
    CHECK(std::abs(tanh[i] - std::min(127.0, 128 * std::tanh(real))) <= 1);
    if (i == 0) continue;
    CHECK(sigmoid[i] >= sigmoid[i - 1]);
    CHECK(tanh[i] >= tanh[i - 1]);
  }
}

TEST_CASE("int8: dense computed by hand") {
  // x = 0.5 (q - 2): (3, -1); w = 0.25 q per output; bias at 0.125; y at scale 0.5, zero point 1.
  Tensor x(quantised_type(0.5F, 2));
  x = Tensor(TensorType{DType::kI8, Shape{1, 2}, x.type().quant});
  x.mutable_values<int8_t>()[0] = 8;
  x.mutable_values<int8_t>()[1] = 0;
  Tensor w(TensorType{DType::kI8, Shape{2, 1}, quantised_type(0.25F, 0).quant});
  w.mutable_values<int8_t>()[0] = 4;   // 1
  w.mutable_values<int8_t>()[1] = -8;  // -2
  Tensor bias(TensorType{DType::kI32, Shape{1}, quantised_type(0.125F, 0).quant});
  bias.mutable_values<int32_t>()[0] = 10;  // 1.25
  // 3 * 1 + -1 * -2 + 1.25 = 6.25 -> 12.5 steps -> 13 + 1
  Tensor y(TensorType{DType::kI8, Shape{1, 1}, quantised_type(0.5F, 1).quant});
  TensorView out(y);
  const std::vector<ConstTensorView> in{x, w, bias};
  ir::evaluate(kDense, in, {&out, 1}, full_attrs(kDense, {}));
  CHECK(y.values<int8_t>()[0] == 14);
  ir::evaluate(kDense, in, {&out, 1}, full_attrs(kDense, {{"clamp_max", "6"}}));
  CHECK(y.values<int8_t>()[0] == 13);  // 6 / 0.5 + 1
}

TEST_CASE("int8: operators refuse mixed and wrongly quantised inputs") {
  const TensorType x{DType::kI8, Shape{1, 2}, quantised_type(0.5F, 2).quant};
  const TensorType real{DType::kF32, Shape{2, 3}, nullptr};
  const TensorType w{DType::kI8, Shape{2, 3}, quantised_type(0.5F, 0).quant};
  const TensorType real_bias{DType::kF32, Shape{3}, nullptr};
  const Attrs attrs = full_attrs(kDense, {});
  const std::vector<const TensorType*> mixed{&x, &real};
  CHECK_FALSE(kDense.infer(mixed, attrs).ok());
  const std::vector<const TensorType*> float_bias{&x, &w, &real_bias};
  CHECK_FALSE(kDense.infer(float_bias, attrs).ok());
  const std::vector<const TensorType*> good{&x, &w};
  CHECK(kDense.infer(good, attrs).ok());
  const TensorType plain{DType::kI8, Shape{1, 2}, nullptr};
  const std::vector<const TensorType*> unquantised{&plain, &plain};
  CHECK_FALSE(kSoftmax.infer({unquantised.data(), 1}, full_attrs(kSoftmax, {})).ok());
}

}  // namespace
}  // namespace ew::ops
