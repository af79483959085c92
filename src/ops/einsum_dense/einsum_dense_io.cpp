// Keras EinsumDense: an Einstein sum with a kernel, then a bias along some dimensions.
#include <algorithm>

#include "formats/keras/lowering.h"

namespace ew::ops {
namespace {

using formats::KerasTensor;
using formats::LayerContext;

/// "in,kernel->out" without its ellipses, and the sizes of its labels that are known.
struct Equation {
  std::string input, kernel, output;
  bool dots_last = false;
  int dots = 0;  ///< dimensions that the ellipsis stands for
  std::vector<std::pair<char, int64_t>> sizes;

  int64_t size(char label) const {
    for (const auto& [name, size] : sizes) {
      if (name == label) return size;
    }
    return kUnknown;
  }
};

Result<Equation> parse(const std::string& text, const Shape& x, const std::vector<int64_t>& out) {
  constexpr size_t kMaxText = 256;  // labels are looked up one by one
  if (text.size() > kMaxText) return invalid_data("an equation of ", text.size(), " characters");
  const size_t comma = text.find(',');
  const size_t arrow = text.find("->");
  if (comma == std::string::npos || arrow == std::string::npos || arrow < comma) {
    return invalid_data("equation '", text, "': expected 'input,kernel->output'");
  }
  Equation e;
  e.input = text.substr(0, comma);
  e.kernel = text.substr(comma + 1, arrow - comma - 1);
  e.output = text.substr(arrow + 2);
  e.dots_last = e.input.ends_with("...");
  const auto strip = [](std::string& labels) {
    const size_t at = labels.find("...");
    if (at != std::string::npos) labels.erase(at, 3);
  };
  strip(e.input);
  strip(e.output);
  e.dots = x.rank() - static_cast<int>(e.input.size());
  if (e.dots < 0 || (e.dots > 0 && text.find("...") == std::string::npos)) {
    return invalid_data("equation '", text, "' does not fit an input of shape ", x);
  }
  for (size_t i = 0; i < e.input.size(); ++i) {
    e.sizes.emplace_back(e.input[i], x[static_cast<int>(i) + (e.dots_last ? 0 : e.dots)]);
  }
  // output_shape leaves out the batch; an ellipsis in front may stand for any of its entries.
  for (size_t i = 0; i < e.output.size(); ++i) {
    const size_t from_end = e.output.size() - i;
    const auto at = e.dots_last ? static_cast<std::ptrdiff_t>(i) - 1
                                : static_cast<std::ptrdiff_t>(out.size()) -
                                      static_cast<std::ptrdiff_t>(from_end);
    if (at >= 0 && at < static_cast<std::ptrdiff_t>(out.size())) {
      e.sizes.emplace_back(e.output[i], out[static_cast<size_t>(at)]);
    }
  }
  return e;
}

Result<std::vector<int64_t>> output_shape(const Config& config) {
  const Config& given = config["output_shape"];
  if (!given.is_list()) return config.get_ints("output_shape", {});
  std::vector<int64_t> out;
  for (const Config& size : given.as_list()) out.push_back(size.as_int(kUnknown));
  return out;
}

ValueId add_bias(LayerContext& c, ValueId y, const Equation& e, const std::string& axes) {
  size_t first = e.output.size();
  for (const char label : axes) first = std::min(first, e.output.find(label));
  Shape shape;
  for (size_t i = first; i < e.output.size(); ++i) {
    const bool is_biased = axes.find(e.output[i]) != std::string::npos;
    shape.dims().push_back(is_biased ? e.size(e.output[i]) : 1);
  }
  if (e.dots_last) shape.dims().insert(shape.dims().end(), static_cast<size_t>(e.dots), 1);
  if (!shape.is_static()) return c.b.fail(invalid_data("bias_axes name an unknown size"));
  return c.b.add(kAdd, {y, c.weight("bias", shape, {.config_prefix = "bias"})});
}

std::vector<KerasTensor> einsum_dense(LayerContext& c) {
  if (c.inputs.empty()) return c.fail(invalid_data("expected an input"));
  const std::string& text = c.config["equation"].as_string();
  const ValueId x = c.inputs[0].value;
  const Result<std::vector<int64_t>> out = output_shape(c.config);
  if (!out.ok()) return c.fail(out.error());
  const Result<Equation> e = parse(text, c.b.shape(x), *out);
  if (!e.ok()) return c.fail(e.error());
  Shape shape;
  for (const char label : e->kernel) shape.dims().push_back(e->size(label));
  if (!shape.is_static()) {
    return c.fail(invalid_data("equation '", text, "' leaves the kernel's shape open: ", shape));
  }
  const ValueId kernel = c.weight("kernel", shape, {.config_prefix = "kernel"});
  ValueId y = formats::einsum(c.b, text, {x, kernel});
  const std::string& axes = c.config["bias_axes"].as_string();
  if (!axes.empty()) y = add_bias(c, y, *e, axes);
  return c.output(c.activation(y, c.config["activation"]));
}

const formats::KerasLayer kLayers[] = {{"EinsumDense", einsum_dense}};

}  // namespace

extern const formats::OpIo einsum_dense_io{.keras_layers = kLayers};

}  // namespace ew::ops
