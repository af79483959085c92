/// gru: gated recurrent unit (Cho et al. 2014), Keras' gate order (z, r, h). With the input part
/// X = x_t W + b and the recurrent part R:
///   z = s(X_z + R_z), r = s(X_r + R_r), g = a(X_h + R_h), h_t = z h_t-1 + (1 - z) g, y_t = h_t
///   reset_after:  R = h_t-1 U + b', R_h multiplied by r afterwards (bias [2, 3 U] holds b and b')
///   otherwise:    R_h = (r h_t-1) U_h, no b' (bias [3 U])
/// where a is `activation` and s `recurrent_activation`. Inputs, outputs, attributes and errors are
/// those of ops/recurrent.h with three gates and one state.
///
///   oracle   Keras 2 and 3 GRU
#include "ops/recurrent.h"

namespace ew::ops {
namespace {

class Cell final : public RecurrentCell {
 public:
  Cell(ConstViews in, const Attrs& attrs)
      : n_(in[2].shape()[0]),
        width_(3 * n_),
        reset_after_(attrs.flag("reset_after")),
        recurrent_(to_doubles(in[2])),
        a_(*find_recurrent_activation(attrs.text("activation"))),
        s_(*find_recurrent_activation(attrs.text("recurrent_activation"))) {
    if (reset_after_ && in.size() > 3 && in[3]) {
      const std::vector<double> bias = to_doubles(in[3]);
      recurrent_bias_.assign(bias.begin() + width_, bias.end());
    }
  }

  void step(const double* xw, const double* hm, const double* before, double* saved,
            double* after) const override {
    std::vector<double> r(static_cast<size_t>(width_), 0.0);
    if (!recurrent_bias_.empty()) r = recurrent_bias_;
    add_product(hm, recurrent_.data(), n_, width_, 0, reset_after_ ? width_ : 2 * n_, r.data());
    for (int64_t k = 0; k < 2 * n_; ++k) saved[k] = xw[k] + r[static_cast<size_t>(k)];
    if (!reset_after_) {
      const std::vector<double> reset = reset_state(saved, hm);
      add_product(reset.data(), recurrent_.data(), n_, width_, 2 * n_, n_, r.data() + 2 * n_);
    }
    for (int64_t u = 0; u < n_; ++u) {
      saved[2 * n_ + u] = xw[2 * n_ + u];
      saved[3 * n_ + u] = r[static_cast<size_t>(2 * n_ + u)];
      const double z = s_.f(saved[u]);
      after[u] = z * before[u] + (1 - z) * a_.f(candidate(saved, u));
    }
  }

  void step_back(const double* saved, const double* hm, const double* before, const double*,
                 const double* d_after, double* d_xw, double* d_hm, double* d_before,
                 double* d_recurrent, double* d_bias) override {
    std::vector<double> d_r(static_cast<size_t>(width_), 0.0);  // d of the recurrent part
    for (int64_t u = 0; u < n_; ++u) {
      const double z = s_.f(saved[u]);
      const double dh = d_after[u];
      d_before[u] = dh * z;
      d_xw[u] = dh * (before[u] - a_.f(candidate(saved, u))) * s_.derivative(saved[u]);
      d_xw[2 * n_ + u] = dh * (1 - z) * a_.derivative(candidate(saved, u));
      d_r[static_cast<size_t>(2 * n_ + u)] =
          d_xw[2 * n_ + u] * (reset_after_ ? s_.f(saved[n_ + u]) : 1);
    }
    if (reset_after_) {
      for (int64_t u = 0; u < n_; ++u) {
        d_xw[n_ + u] = d_xw[2 * n_ + u] * saved[3 * n_ + u] * s_.derivative(saved[n_ + u]);
      }
    } else {
      const std::vector<double> reset = reset_state(saved, hm);
      const double* d_h = d_r.data() + 2 * n_;
      add_outer(reset.data(), d_h, n_, width_, 2 * n_, n_, d_recurrent);
      std::vector<double> d_reset(static_cast<size_t>(n_), 0.0);
      add_product_back(d_h, recurrent_.data(), n_, width_, 2 * n_, n_, d_reset.data());
      for (int64_t u = 0; u < n_; ++u) {
        const double d = d_reset[static_cast<size_t>(u)];
        d_xw[n_ + u] = d * hm[u] * s_.derivative(saved[n_ + u]);
        d_hm[u] = d * s_.f(saved[n_ + u]);
      }
    }
    std::copy_n(d_xw, 2 * n_, d_r.begin());
    const int64_t columns = reset_after_ ? width_ : 2 * n_;
    add_outer(hm, d_r.data(), n_, width_, 0, columns, d_recurrent);
    add_product_back(d_r.data(), recurrent_.data(), n_, width_, 0, columns, d_hm);
    if (recurrent_bias_.empty()) return;
    for (int64_t k = 0; k < width_; ++k) d_bias[width_ + k] += d_r[static_cast<size_t>(k)];
  }

 private:
  double candidate(const double* saved, int64_t u) const {
    return saved[2 * n_ + u] + saved[3 * n_ + u] * (reset_after_ ? s_.f(saved[n_ + u]) : 1);
  }
  std::vector<double> reset_state(const double* saved, const double* hm) const {
    std::vector<double> reset(static_cast<size_t>(n_));
    for (int64_t u = 0; u < n_; ++u) {
      reset[static_cast<size_t>(u)] = s_.f(saved[n_ + u]) * hm[u];
    }
    return reset;
  }

  int64_t n_;
  int64_t width_;
  bool reset_after_;
  std::vector<double> recurrent_;
  std::vector<double> recurrent_bias_;
  const RecurrentActivation& a_;
  const RecurrentActivation& s_;
};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  return infer_recurrent(in, attrs, kGruKind);
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  run_recurrent(in, out, attrs, kGruKind);
}

}  // namespace

const RecurrentKind kGruKind{3, 1, 4, [](ConstViews in, const Attrs& attrs) {
                               return std::unique_ptr<RecurrentCell>(new Cell(in, attrs));
                             }};

const OpDef kGru{.name = "gru",
                 .attrs = kRecurrentAttrs,
                 .min_inputs = 3,
                 .max_inputs = 7,
                 .infer = infer,
                 .reference = reference,
                 .quant = QuantRule::calibrated(),
                 .macs = recurrent_macs};

}  // namespace ew::ops
