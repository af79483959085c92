/// lstm: long short-term memory (Hochreiter and Schmidhuber 1997, with forget gate). With
/// p = x_t W + h_t-1 U + b split into the gates (i, f, g, o):
///   c_t = s(f) c_t-1 + s(i) a(g),  h_t = s(o) a(c_t),  y_t = h_t
/// with c_t clipped to [-cell_clip, cell_clip] if that is not 0 (as TFLite has it), where a is
/// `activation` and s `recurrent_activation`. Inputs, outputs, attributes and errors are those of
/// ops/recurrent.h with four gates and two states.
///
///   oracle   Keras 2 and 3 LSTM
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/recurrent.h"

namespace ew::ops {
namespace {

double cell_bound(const Attrs& attrs) {
  const double clip = attrs.number("cell_clip");
  return clip > 0 ? clip : std::numeric_limits<double>::infinity();
}

class Cell final : public RecurrentCell {
 public:
  Cell(ConstViews in, const Attrs& attrs)
      : units_(in[2].shape()[0]),
        recurrent_(to_doubles(in[2])),
        a_(*find_recurrent_activation(attrs.text("activation"))),
        s_(*find_recurrent_activation(attrs.text("recurrent_activation"))),
        bound_(cell_bound(attrs)) {}

  void step(const double* xw, const double* hm, const double* before, double* saved,
            double* after) const override {
    const int64_t n = units_;
    std::copy_n(xw, 4 * n, saved);
    add_product(hm, recurrent_.data(), n, 4 * n, 0, 4 * n, saved);
    for (int64_t u = 0; u < n; ++u) {
      const double c =
          std::clamp(s_.f(saved[n + u]) * before[n + u] + s_.f(saved[u]) * a_.f(saved[2 * n + u]),
                     -bound_, bound_);
      after[n + u] = c;
      after[u] = s_.f(saved[3 * n + u]) * a_.f(c);
    }
  }

  void step_back(const double* saved, const double* hm, const double* before, const double* after,
                 const double* d_after, double* d_xw, double* d_hm, double* d_before,
                 double* d_recurrent, double*) override {
    const int64_t n = units_;
    for (int64_t u = 0; u < n; ++u) {
      const double i = saved[u];
      const double f = saved[n + u];
      const double g = saved[2 * n + u];
      const double o = saved[3 * n + u];
      const double c = after[n + u];
      const double dh = d_after[u];
      // Nothing flows back through a clipped cell.
      const double dc = std::abs(c) < bound_ ? d_after[n + u] + dh * s_.f(o) * a_.derivative(c) : 0;
      d_xw[u] = dc * a_.f(g) * s_.derivative(i);
      d_xw[n + u] = dc * before[n + u] * s_.derivative(f);
      d_xw[2 * n + u] = dc * s_.f(i) * a_.derivative(g);
      d_xw[3 * n + u] = dh * a_.f(c) * s_.derivative(o);
      d_before[n + u] = dc * s_.f(f);
    }
    add_outer(hm, d_xw, n, 4 * n, 0, 4 * n, d_recurrent);
    add_product_back(d_xw, recurrent_.data(), n, 4 * n, 0, 4 * n, d_hm);
  }

 private:
  int64_t units_;
  std::vector<double> recurrent_;
  const RecurrentActivation& a_;
  const RecurrentActivation& s_;
  double bound_;
};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  return infer_recurrent(in, attrs, kLstmKind);
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  run_recurrent(in, out, attrs, kLstmKind);
}

}  // namespace

const RecurrentKind kLstmKind{4, 2, 4, [](ConstViews in, const Attrs& attrs) {
                                return std::unique_ptr<RecurrentCell>(new Cell(in, attrs));
                              }};

const OpDef kLstm{.name = "lstm",
                  .attrs = kRecurrentAttrs,
                  .min_inputs = 3,
                  .max_inputs = 8,
                  .infer = infer,
                  .reference = reference,
                  .quant = QuantRule::calibrated(),
                  .macs = recurrent_macs};

}  // namespace ew::ops
