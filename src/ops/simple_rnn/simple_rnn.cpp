/// simple_rnn: h_t = f(x_t W + h_t-1 U + b), y_t = h_t. Inputs, outputs, attributes and errors are
/// those of ops/recurrent.h with one gate and one state.
///
///   oracle   Keras 2 and 3 SimpleRNN
#include "ops/recurrent.h"

namespace ew::ops {
namespace {

class Cell final : public RecurrentCell {
 public:
  Cell(ConstViews in, const Attrs& attrs)
      : units_(in[2].shape()[0]),
        recurrent_(to_doubles(in[2])),
        f_(*find_recurrent_activation(attrs.text("activation"))) {}

  void step(const double* xw, const double* hm, const double*, double* saved,
            double* after) const override {
    std::copy_n(xw, units_, saved);
    add_product(hm, recurrent_.data(), units_, units_, 0, units_, saved);
    for (int64_t u = 0; u < units_; ++u) after[u] = f_.f(saved[u]);
  }

  void step_back(const double* saved, const double* hm, const double*, const double*,
                 const double* d_after, double* d_xw, double* d_hm, double*, double* d_recurrent,
                 double*) override {
    for (int64_t u = 0; u < units_; ++u) d_xw[u] = d_after[u] * f_.derivative(saved[u]);
    add_outer(hm, d_xw, units_, units_, 0, units_, d_recurrent);
    add_product_back(d_xw, recurrent_.data(), units_, units_, 0, units_, d_hm);
  }

 private:
  int64_t units_;
  std::vector<double> recurrent_;
  const RecurrentActivation& f_;
};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  return infer_recurrent(in, attrs, kSimpleRnnKind);
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  run_recurrent(in, out, attrs, kSimpleRnnKind);
}

}  // namespace

const RecurrentKind kSimpleRnnKind{1, 1, 1, [](ConstViews in, const Attrs& attrs) {
                                     return std::unique_ptr<RecurrentCell>(new Cell(in, attrs));
                                   }};

const OpDef kSimpleRnn{.name = "simple_rnn",
                       .attrs = kRecurrentAttrs,
                       .min_inputs = 3,
                       .max_inputs = 7,
                       .infer = infer,
                       .reference = reference,
                       .quant = QuantRule::calibrated(),
                       .macs = recurrent_macs};

}  // namespace ew::ops
