// The integer references against the bytes that TensorFlow Lite Micro and LiteRT's reference
// kernels compute (tests/data/int8/README.md).
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "base/str.h"
#include "ops/ops.h"

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

}  // namespace
}  // namespace ew::ops
