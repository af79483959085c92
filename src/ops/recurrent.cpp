#include "ops/recurrent.h"

#include <algorithm>

namespace ew::ops {

const AttrDef kRecurrentAttrs[9] = {{"activation", std::string("tanh")},
                                    {"recurrent_activation", std::string("sigmoid")},
                                    {"return_sequences", true},
                                    {"go_backwards", false},
                                    {"zero_output_for_mask", false},
                                    {"save", false},
                                    {"recurrent_dropout", 0.0},
                                    {"reset_after", true},
                                    {"cell_clip", 0.0}};

std::vector<double> to_doubles(const ConstTensorView& view) {
  std::vector<double> out;
  if (!view) return out;
  out.resize(static_cast<size_t>(view.size()));
  convert_elements(view.dtype(), view.data, DType::kF64, out.data(), view.size());
  return out;
}

void add_product(const double* x, const double* w, int64_t rows, int64_t width, int64_t column,
                 int64_t count, double* y) {
  for (int64_t k = 0; k < rows; ++k) {
    for (int64_t n = 0; n < count; ++n) y[n] += x[k] * w[k * width + column + n];
  }
}

void add_product_back(const double* dy, const double* w, int64_t rows, int64_t width,
                      int64_t column, int64_t count, double* dx) {
  for (int64_t k = 0; k < rows; ++k) {
    for (int64_t n = 0; n < count; ++n) dx[k] += dy[n] * w[k * width + column + n];
  }
}

void add_outer(const double* x, const double* dy, int64_t rows, int64_t width, int64_t column,
               int64_t count, double* dw) {
  for (int64_t k = 0; k < rows; ++k) {
    for (int64_t n = 0; n < count; ++n) dw[k * width + column + n] += x[k] * dy[n];
  }
}

namespace {

const TensorType* type_at(InputTypes in, size_t i) { return i < in.size() ? in[i] : nullptr; }

bool fits(const Shape& shape, std::initializer_list<int64_t> expected) {
  if (shape.rank() != static_cast<int>(expected.size())) return false;
  int d = 0;
  for (const int64_t e : expected) {
    const int64_t found = shape[d++];
    if (found != e && found != kUnknown && e != kUnknown) return false;
  }
  return true;
}

Status check_activation(const std::string& name) {
  if (find_recurrent_activation(name) != nullptr) return {};
  std::vector<std::string> known;
  for (const RecurrentActivation& a : recurrent_activations()) known.emplace_back(a.name);
  return unsupported("a recurrent layer cannot use the activation '", name, "'; known are ",
                     join(known, ", "));
}

Status check_inputs(InputTypes in, const Attrs& attrs, const RecurrentKind& kind) {
  EW_TRY_VOID(expect_floating(*in[kX]));
  EW_TRY_VOID(check_activation(attrs.text("activation")));
  EW_TRY_VOID(check_activation(attrs.text("recurrent_activation")));
  const Shape& x = in[kX]->shape;
  if (in[kKernel] == nullptr || in[kRecurrent] == nullptr || x.rank() != 3 ||
      in[kRecurrent]->shape.rank() != 2) {
    return invalid_argument("expected x [batch, steps, features], a kernel and a recurrent kernel");
  }
  const int64_t units = in[kRecurrent]->shape[0];
  const int64_t width = kind.gates * units;
  const TensorType* bias = type_at(in, kBias);
  const bool has_two_biases = &kind == &kGruKind && attrs.flag("reset_after");
  if (!fits(in[kKernel]->shape, {x[2], width}) || !fits(in[kRecurrent]->shape, {units, width}) ||
      (bias != nullptr &&
       !(has_two_biases ? fits(bias->shape, {2, width}) : fits(bias->shape, {width})))) {
    return invalid_argument("weights do not fit: x ", x, ", kernel ", in[kKernel]->shape,
                            ", recurrent kernel ", in[kRecurrent]->shape, ", bias ",
                            bias ? to_string(bias->shape) : std::string("none"), ", gates ",
                            kind.gates);
  }
  const TensorType* mask = type_at(in, kMask);
  if (mask != nullptr && (mask->dtype != DType::kBool || !fits(mask->shape, {x[0], x[1]}))) {
    return invalid_argument("expected a mask bool[batch, steps] for x ", x, ", found ", *mask);
  }
  for (const size_t i : {size_t{kRecurrentMask}, size_t{kH0}, size_t{kC0}}) {
    const TensorType* state = type_at(in, i);
    if (state != nullptr && !fits(state->shape, {x[0], units})) {
      return invalid_argument("expected a state of shape [batch, ", units, "] for x ", x,
                              ", found ", state->shape);
    }
  }
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i] != nullptr && i != kMask && in[i]->dtype != in[kX]->dtype) {
      return invalid_argument("inputs have different dtypes: ", in[kX]->dtype, " and ",
                              in[i]->dtype);
    }
  }
  return {};
}

}  // namespace

Result<std::vector<TensorType>> infer_recurrent(InputTypes in, const Attrs& attrs,
                                                const RecurrentKind& kind) {
  EW_TRY_VOID(check_inputs(in, attrs, kind));
  const Shape& x = in[kX]->shape;
  const int64_t units = in[kRecurrent]->shape[0];
  const auto type = [&](Shape shape) {
    return TensorType{in[kX]->dtype, std::move(shape), nullptr};
  };
  std::vector<TensorType> out;
  out.push_back(
      type(attrs.flag("return_sequences") ? Shape{x[0], x[1], units} : Shape{x[0], units}));
  for (int64_t s = 0; s < kind.states; ++s) out.push_back(type({x[0], units}));
  if (attrs.flag("save")) {
    out.push_back(type({x[0], x[1], kind.saved_per_unit * units}));
    out.push_back(type({x[0], x[1], kind.states * units}));
  }
  return out;
}

Result<std::vector<TensorType>> infer_recurrent_backward(InputTypes in, const Attrs& attrs,
                                                         const RecurrentKind& kind) {
  if (in.size() <= kStates || in[kSaved] == nullptr || in[kStates] == nullptr) {
    return invalid_argument("expected what the forward operator saved");
  }
  EW_TRY_VOID(check_inputs(in, attrs, kind));
  const Shape& x = in[kX]->shape;
  const int64_t units = in[kRecurrent]->shape[0];
  const auto type = [&](Shape shape) {
    return TensorType{in[kX]->dtype, std::move(shape), nullptr};
  };
  const TensorType* bias = type_at(in, kBias);
  std::vector<TensorType> out = {type(x), type(in[kKernel]->shape), type(in[kRecurrent]->shape),
                                 type(bias ? bias->shape : Shape{kind.gates * units})};
  for (int64_t s = 0; s < kind.states; ++s) out.push_back(type({x[0], units}));
  return out;
}

int64_t recurrent_macs(InputTypes in, std::span<const TensorType>, const Attrs&) {
  const Shape& x = in[kX]->shape;
  return x[0] * x[1] * (in[kKernel]->shape.num_elements() + in[kRecurrent]->shape.num_elements());
}

}  // namespace ew::ops
