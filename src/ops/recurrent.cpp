#include "ops/recurrent.h"

#include <algorithm>

namespace ew::ops {

const AttrDef kRecurrentAttrs[8] = {
    {"activation", std::string("tanh")}, {"recurrent_activation", std::string("sigmoid")},
    {"return_sequences", true},          {"go_backwards", false},
    {"zero_output_for_mask", false},     {"save", false},
    {"recurrent_dropout", 0.0},          {"reset_after", true}};

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

enum Input { kX, kKernel, kRecurrent, kBias, kMask, kRecurrentMask, kH0, kC0, kSaved };

const TensorType* type_at(InputTypes in, size_t i) { return i < in.size() ? in[i] : nullptr; }

ConstTensorView view_at(ConstViews in, size_t i) {
  return i < in.size() ? in[i] : ConstTensorView();
}

bool fits(const Shape& shape, std::initializer_list<int64_t> expected) {
  if (shape.rank() != static_cast<int>(expected.size())) return false;
  int d = 0;
  for (const int64_t e : expected) {
    const int64_t found = shape[d++];
    if (found != e && found != kUnknown && e != kUnknown) return false;
  }
  return true;
}

struct Sizes {
  int64_t batch, steps, features, units;
};

Sizes sizes_of(const Shape& x, const Shape& recurrent) { return {x[0], x[1], x[2], recurrent[0]}; }

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

/// The loop that both directions share: which element of x and y belongs to a step.
struct Loop {
  Sizes n;
  bool go_backwards;
  bool return_sequences;
  const bool* mask;

  Loop(ConstViews in, const Attrs& attrs)
      : n(sizes_of(in[kX].shape(), in[kRecurrent].shape())),
        go_backwards(attrs.flag("go_backwards")),
        return_sequences(attrs.flag("return_sequences")),
        mask(view_at(in, kMask) ? in[kMask].as<bool>() : nullptr) {}

  int64_t x_row(int64_t b, int64_t step) const {
    return b * n.steps + (go_backwards ? n.steps - 1 - step : step);
  }
  bool is_masked(int64_t row) const { return mask != nullptr && !mask[row]; }
};

std::vector<double> initial_states(ConstViews in, const Sizes& n, int64_t b, int64_t count) {
  std::vector<double> states(static_cast<size_t>(count * n.units), 0.0);
  for (int64_t s = 0; s < count; ++s) {
    const ConstTensorView given = view_at(in, kH0 + static_cast<size_t>(s));
    if (!given) continue;
    const size_t size = dtype_size(given.dtype());
    const auto* row =
        static_cast<const uint8_t*>(given.data) + static_cast<size_t>(b * n.units) * size;
    convert_elements(given.dtype(), row, DType::kF64, states.data() + s * n.units, n.units);
  }
  return states;
}

void store(const std::vector<double>& from, const TensorView& to) {
  convert_elements(DType::kF64, from.data(), to.dtype(), to.data, to.size());
}

std::vector<double> masked_state(const double* h, const std::vector<double>& mask, int64_t b,
                                 int64_t units) {
  std::vector<double> hm(h, h + units);
  for (int64_t u = 0; u < units && !mask.empty(); ++u) {
    hm[static_cast<size_t>(u)] *= mask[static_cast<size_t>(b * units + u)];
  }
  return hm;
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

void run_recurrent(ConstViews in, Views out, const Attrs& attrs, const RecurrentKind& kind) {
  const Loop loop(in, attrs);
  const Sizes& n = loop.n;
  const int64_t width = kind.gates * n.units;
  const int64_t pre_width = kind.saved_per_unit * n.units;
  const int64_t state_width = kind.states * n.units;
  const std::unique_ptr<RecurrentCell> cell = kind.make(in, attrs);
  const std::vector<double> x = to_doubles(in[kX]);
  const std::vector<double> kernel = to_doubles(in[kKernel]);
  const std::vector<double> bias = to_doubles(view_at(in, kBias));
  const std::vector<double> recurrent_mask = to_doubles(view_at(in, kRecurrentMask));
  const bool zero_output = attrs.flag("zero_output_for_mask");

  std::vector<double> y(static_cast<size_t>(out[0].size()), 0.0);
  std::vector<std::vector<double>> finals(
      static_cast<size_t>(kind.states),
      std::vector<double>(static_cast<size_t>(n.batch * n.units), 0.0));
  std::vector<double> saved(static_cast<size_t>(n.batch * n.steps * pre_width), 0.0);
  std::vector<double> trace(static_cast<size_t>(n.batch * n.steps * state_width), 0.0);
  for (int64_t b = 0; b < n.batch; ++b) {
    std::vector<double> state = initial_states(in, n, b, kind.states);
    std::vector<double> next = state;
    std::vector<double> output(static_cast<size_t>(n.units), 0.0);
    for (int64_t step = 0; step < n.steps; ++step) {
      const int64_t row = loop.x_row(b, step);
      const int64_t done = b * n.steps + step;
      if (!loop.is_masked(row)) {
        std::vector<double> xw(static_cast<size_t>(width), 0.0);
        if (!bias.empty()) std::copy_n(bias.begin(), width, xw.begin());
        add_product(x.data() + row * n.features, kernel.data(), n.features, width, 0, width,
                    xw.data());
        const std::vector<double> hm = masked_state(state.data(), recurrent_mask, b, n.units);
        cell->step(xw.data(), hm.data(), state.data(), saved.data() + done * pre_width,
                   next.data());
        state = next;
        std::copy_n(state.begin(), n.units, output.begin());
      } else if (zero_output) {
        std::fill(output.begin(), output.end(), 0.0);
      }
      std::copy(state.begin(), state.end(), trace.begin() + done * state_width);
      if (loop.return_sequences) {
        std::copy(output.begin(), output.end(), y.begin() + done * n.units);
      }
    }
    if (!loop.return_sequences) std::copy(output.begin(), output.end(), y.begin() + b * n.units);
    for (int64_t s = 0; s < kind.states; ++s) {
      std::copy_n(state.begin() + s * n.units, n.units,
                  finals[static_cast<size_t>(s)].begin() + b * n.units);
    }
  }
  store(y, out[0]);
  for (size_t s = 0; s < finals.size(); ++s) store(finals[s], out[s + 1]);
  if (attrs.flag("save")) {
    store(saved, out[finals.size() + 1]);
    store(trace, out[finals.size() + 2]);
  }
}

Result<std::vector<TensorType>> infer_recurrent_backward(InputTypes in, const Attrs& attrs,
                                                         const RecurrentKind& kind) {
  if (in.size() <= kSaved + 1 || in[kSaved] == nullptr || in[kSaved + 1] == nullptr) {
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

void run_recurrent_backward(ConstViews in, Views out, const Attrs& attrs,
                            const RecurrentKind& kind) {
  const Loop loop(in, attrs);
  const Sizes& n = loop.n;
  const int64_t width = kind.gates * n.units;
  const int64_t pre_width = kind.saved_per_unit * n.units;
  const int64_t state_width = kind.states * n.units;
  const std::unique_ptr<RecurrentCell> cell = kind.make(in, attrs);
  const std::vector<double> x = to_doubles(in[kX]);
  const std::vector<double> kernel = to_doubles(in[kKernel]);
  const std::vector<double> recurrent_mask = to_doubles(view_at(in, kRecurrentMask));
  const std::vector<double> saved = to_doubles(in[kSaved]);
  const std::vector<double> trace = to_doubles(in[kSaved + 1]);
  const std::vector<double> dy = to_doubles(view_at(in, kSaved + 2));
  const bool zero_output = attrs.flag("zero_output_for_mask");
  std::vector<std::vector<double>> d;
  for (const TensorView& o : out) d.emplace_back(static_cast<size_t>(o.size()), 0.0);
  double* d_x = d[0].data();
  double* d_bias = d[3].data();

  for (int64_t b = 0; b < n.batch; ++b) {
    const std::vector<double> initial = initial_states(in, n, b, kind.states);
    std::vector<double> d_state(static_cast<size_t>(state_width), 0.0);
    for (int64_t s = 0; s < kind.states; ++s) {
      const std::vector<double> given =
          to_doubles(view_at(in, kSaved + 3 + static_cast<size_t>(s)));
      if (!given.empty())
        std::copy_n(given.begin() + b * n.units, n.units, d_state.begin() + s * n.units);
    }
    // Gradient of the output that masked steps repeat; it reaches the last step that made one.
    std::vector<double> d_output(static_cast<size_t>(n.units), 0.0);
    if (!loop.return_sequences && !dy.empty()) {
      std::copy_n(dy.begin() + b * n.units, n.units, d_output.begin());
    }
    for (int64_t step = n.steps - 1; step >= 0; --step) {
      const int64_t row = loop.x_row(b, step);
      const int64_t done = b * n.steps + step;
      if (loop.return_sequences && !dy.empty()) {
        for (int64_t u = 0; u < n.units; ++u) {
          d_output[static_cast<size_t>(u)] += dy[static_cast<size_t>(done * n.units + u)];
        }
      }
      if (loop.is_masked(row)) {
        if (zero_output) std::fill(d_output.begin(), d_output.end(), 0.0);
        continue;
      }
      for (int64_t u = 0; u < n.units; ++u) {
        d_state[static_cast<size_t>(u)] += d_output[static_cast<size_t>(u)];
      }
      std::fill(d_output.begin(), d_output.end(), 0.0);
      const double* before = step == 0 ? initial.data() : trace.data() + (done - 1) * state_width;
      const std::vector<double> hm = masked_state(before, recurrent_mask, b, n.units);
      std::vector<double> d_xw(static_cast<size_t>(width), 0.0);
      std::vector<double> d_hm(static_cast<size_t>(n.units), 0.0);
      std::vector<double> d_before(static_cast<size_t>(state_width), 0.0);
      cell->step_back(saved.data() + done * pre_width, hm.data(), before,
                      trace.data() + done * state_width, d_state.data(), d_xw.data(), d_hm.data(),
                      d_before.data(), d[2].data(), d_bias);
      for (int64_t k = 0; k < width; ++k) d_bias[k] += d_xw[static_cast<size_t>(k)];
      add_outer(x.data() + row * n.features, d_xw.data(), n.features, width, 0, width, d[1].data());
      add_product_back(d_xw.data(), kernel.data(), n.features, width, 0, width,
                       d_x + row * n.features);
      d_hm = masked_state(d_hm.data(), recurrent_mask, b, n.units);
      for (int64_t u = 0; u < n.units; ++u) {
        d_before[static_cast<size_t>(u)] += d_hm[static_cast<size_t>(u)];
      }
      d_state = d_before;
    }
    for (int64_t s = 0; s < kind.states; ++s) {
      std::copy_n(d_state.begin() + s * n.units, n.units,
                  d[4 + static_cast<size_t>(s)].begin() + b * n.units);
    }
  }
  for (size_t i = 0; i < d.size(); ++i) store(d[i], out[i]);
}

int64_t recurrent_macs(InputTypes in, std::span<const TensorType>, const Attrs&) {
  const Shape& x = in[kX]->shape;
  return x[0] * x[1] * (in[kKernel]->shape.num_elements() + in[kRecurrent]->shape.num_elements());
}

}  // namespace ew::ops
