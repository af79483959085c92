// The references of recurrent operators: the loop over time, forwards and back.
#include <algorithm>

#include "ops/recurrent.h"

namespace ew::ops {
namespace {

ConstTensorView view_at(ConstViews in, size_t i) {
  return i < in.size() ? in[i] : ConstTensorView();
}

/// What a run in either direction reads: sizes, weights as double, the order of steps.
struct Sweep {
  ConstViews in;
  const RecurrentKind& kind;
  int64_t batch, steps, features, units;
  int64_t width, saved_width, state_width;
  bool go_backwards, return_sequences, zero_output;
  const bool* mask;
  std::unique_ptr<RecurrentCell> cell;
  std::vector<double> x, kernel, recurrent_mask;

  Sweep(ConstViews inputs, const Attrs& attrs, const RecurrentKind& k)
      : in(inputs),
        kind(k),
        batch(in[kX].shape()[0]),
        steps(in[kX].shape()[1]),
        features(in[kX].shape()[2]),
        units(in[kRecurrent].shape()[0]),
        width(k.gates * units),
        saved_width(k.saved_per_unit * units),
        state_width(k.states * units),
        go_backwards(attrs.flag("go_backwards")),
        return_sequences(attrs.flag("return_sequences")),
        zero_output(attrs.flag("zero_output_for_mask")),
        mask(view_at(in, kMask) ? in[kMask].as<bool>() : nullptr),
        cell(k.make(in, attrs)),
        x(to_doubles(in[kX])),
        kernel(to_doubles(in[kKernel])),
        recurrent_mask(to_doubles(view_at(in, kRecurrentMask))) {}

  /// The row of x that a step reads.
  int64_t x_row(int64_t b, int64_t step) const {
    return b * steps + (go_backwards ? steps - 1 - step : step);
  }
  bool is_masked(int64_t row) const { return mask != nullptr && !mask[row]; }

  std::vector<double> zeros(int64_t count) const {
    return std::vector<double>(static_cast<size_t>(count), 0.0);
  }

  std::vector<double> initial_states(int64_t b) const {
    std::vector<double> states = zeros(state_width);
    for (int64_t s = 0; s < kind.states; ++s) {
      const ConstTensorView given = view_at(in, kH0 + static_cast<size_t>(s));
      if (!given) continue;
      const auto* row = static_cast<const uint8_t*>(given.data) +
                        static_cast<size_t>(b * units) * dtype_size(given.dtype());
      convert_elements(given.dtype(), row, DType::kF64, states.data() + s * units, units);
    }
    return states;
  }

  /// h with the recurrent dropout of the sample.
  std::vector<double> masked_state(const double* h, int64_t b) const {
    std::vector<double> hm(h, h + units);
    for (size_t u = 0; u < hm.size() && !recurrent_mask.empty(); ++u) {
      hm[u] *= recurrent_mask[static_cast<size_t>(b * units) + u];
    }
    return hm;
  }
};

void store(const std::vector<double>& from, const TensorView& to) {
  convert_elements(DType::kF64, from.data(), to.dtype(), to.data, to.size());
}

/// A forward run: samples one after the other.
class Forward {
 public:
  Forward(ConstViews in, Views out, const Attrs& attrs, const RecurrentKind& kind)
      : s_(in, attrs, kind),
        bias_(to_doubles(view_at(in, kBias))),
        y_(s_.zeros(out[0].size())),
        finals_(static_cast<size_t>(kind.states), s_.zeros(s_.batch * s_.units)),
        saved_(s_.zeros(s_.batch * s_.steps * s_.saved_width)),
        trace_(s_.zeros(s_.batch * s_.steps * s_.state_width)) {}

  void run(int64_t b) {
    std::vector<double> state = s_.initial_states(b);
    std::vector<double> output = s_.zeros(s_.units);
    for (int64_t step = 0; step < s_.steps; ++step) {
      const int64_t row = s_.x_row(b, step);
      const int64_t done = b * s_.steps + step;
      if (!s_.is_masked(row)) {
        advance(b, row, done, state);
        std::copy_n(state.begin(), s_.units, output.begin());
      } else if (s_.zero_output) {
        output = s_.zeros(s_.units);
      }
      std::copy(state.begin(), state.end(), trace_.begin() + done * s_.state_width);
      if (s_.return_sequences) {
        std::copy(output.begin(), output.end(), y_.begin() + done * s_.units);
      }
    }
    if (!s_.return_sequences) std::copy(output.begin(), output.end(), y_.begin() + b * s_.units);
    for (size_t i = 0; i < finals_.size(); ++i) {
      std::copy_n(state.begin() + static_cast<int64_t>(i) * s_.units, s_.units,
                  finals_[i].begin() + b * s_.units);
    }
  }

  void store_outputs(Views out, bool save) const {
    store(y_, out[0]);
    for (size_t i = 0; i < finals_.size(); ++i) store(finals_[i], out[i + 1]);
    if (!save) return;
    store(saved_, out[finals_.size() + 1]);
    store(trace_, out[finals_.size() + 2]);
  }

 private:
  void advance(int64_t b, int64_t row, int64_t done, std::vector<double>& state) {
    std::vector<double> xw = s_.zeros(s_.width);
    if (!bias_.empty()) std::copy_n(bias_.begin(), s_.width, xw.begin());
    add_product(s_.x.data() + row * s_.features, s_.kernel.data(), s_.features, s_.width, 0,
                s_.width, xw.data());
    const std::vector<double> hm = s_.masked_state(state.data(), b);
    std::vector<double> after(state.size());
    s_.cell->step(xw.data(), hm.data(), state.data(), saved_.data() + done * s_.saved_width,
                  after.data());
    state = std::move(after);
  }

  Sweep s_;
  std::vector<double> bias_, y_;
  std::vector<std::vector<double>> finals_;
  std::vector<double> saved_, trace_;
};

/// A backward run: steps from the last processed to the first.
class Backward {
 public:
  Backward(ConstViews in, Views out, const Attrs& attrs, const RecurrentKind& kind)
      : s_(in, attrs, kind),
        saved_(to_doubles(in[kSaved])),
        trace_(to_doubles(in[kStates])),
        dy_(to_doubles(view_at(in, kDy))) {
    for (size_t i = 0; i < static_cast<size_t>(kind.states); ++i) {
      d_finals_.push_back(to_doubles(view_at(in, kDh + i)));
    }
    for (const TensorView& o : out) d_.push_back(s_.zeros(o.size()));
  }

  void run(int64_t b) {
    const std::vector<double> initial = s_.initial_states(b);
    std::vector<double> d_state = final_gradients(b);
    // Gradient of the output that masked steps repeat; it reaches the last step that made one.
    std::vector<double> d_output = s_.zeros(s_.units);
    if (!s_.return_sequences) add_dy(b, d_output);
    for (int64_t step = s_.steps - 1; step >= 0; --step) {
      const int64_t row = s_.x_row(b, step);
      const int64_t done = b * s_.steps + step;
      if (s_.return_sequences) add_dy(done, d_output);
      const bool is_masked = s_.is_masked(row);
      if (!is_masked) {
        for (size_t u = 0; u < d_output.size(); ++u) d_state[u] += d_output[u];
        const double* before =
            step == 0 ? initial.data() : trace_.data() + (done - 1) * s_.state_width;
        d_state = step_back(b, row, done, before, d_state);
      }
      if (!is_masked || s_.zero_output) d_output = s_.zeros(s_.units);
    }
    for (size_t i = 0; i < d_finals_.size(); ++i) {
      std::copy_n(d_state.begin() + static_cast<int64_t>(i) * s_.units, s_.units,
                  d_[4 + i].begin() + b * s_.units);
    }
  }

  void store_outputs(Views out) const {
    for (size_t i = 0; i < d_.size(); ++i) store(d_[i], out[i]);
  }

 private:
  void add_dy(int64_t row, std::vector<double>& d_output) const {
    for (size_t u = 0; u < d_output.size() && !dy_.empty(); ++u) {
      d_output[u] += dy_[static_cast<size_t>(row * s_.units) + u];
    }
  }

  std::vector<double> final_gradients(int64_t b) const {
    std::vector<double> d_state = s_.zeros(s_.state_width);
    for (size_t i = 0; i < d_finals_.size(); ++i) {
      if (d_finals_[i].empty()) continue;
      std::copy_n(d_finals_[i].begin() + b * s_.units, s_.units,
                  d_state.begin() + static_cast<int64_t>(i) * s_.units);
    }
    return d_state;
  }

  std::vector<double> step_back(int64_t b, int64_t row, int64_t done, const double* before,
                                const std::vector<double>& d_after) {
    const std::vector<double> hm = s_.masked_state(before, b);
    std::vector<double> d_xw = s_.zeros(s_.width);
    std::vector<double> d_hm = s_.zeros(s_.units);
    std::vector<double> d_before = s_.zeros(s_.state_width);
    s_.cell->step_back(saved_.data() + done * s_.saved_width, hm.data(), before,
                       trace_.data() + done * s_.state_width, d_after.data(), d_xw.data(),
                       d_hm.data(), d_before.data(), d_[2].data(), d_[3].data());
    for (size_t k = 0; k < d_xw.size(); ++k) d_[3][k] += d_xw[k];
    add_outer(s_.x.data() + row * s_.features, d_xw.data(), s_.features, s_.width, 0, s_.width,
              d_[1].data());
    add_product_back(d_xw.data(), s_.kernel.data(), s_.features, s_.width, 0, s_.width,
                     d_[0].data() + row * s_.features);
    d_hm = s_.masked_state(d_hm.data(), b);
    for (size_t u = 0; u < d_hm.size(); ++u) d_before[u] += d_hm[u];
    return d_before;
  }

  Sweep s_;
  std::vector<double> saved_, trace_, dy_;
  std::vector<std::vector<double>> d_finals_;
  std::vector<std::vector<double>> d_;  // of the outputs: x, kernel, recurrent kernel, bias, states
};

}  // namespace

void run_recurrent(ConstViews in, Views out, const Attrs& attrs, const RecurrentKind& kind) {
  Forward forward(in, out, attrs, kind);
  for (int64_t b = 0; b < in[kX].shape()[0]; ++b) forward.run(b);
  forward.store_outputs(out, attrs.flag("save"));
}

void run_recurrent_backward(ConstViews in, Views out, const Attrs& attrs,
                            const RecurrentKind& kind) {
  Backward backward(in, out, attrs, kind);
  for (int64_t b = 0; b < in[kX].shape()[0]; ++b) backward.run(b);
  backward.store_outputs(out);
}

}  // namespace ew::ops
