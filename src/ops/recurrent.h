#pragma once
// What simple_rnn, lstm and gru share: inputs, attributes, the loop over time, its gradient.
//
// B batch, T steps, F features, U units, G gates (simple_rnn 1, lstm 4, gru 3), S states
// (lstm 2: h and c; else 1).
//
//   inputs   0 x: floating [B,T,F]          4 mask: bool [B,T], optional
//            1 kernel: [F, G U]             5 recurrent_mask: [B,U], optional; h is multiplied by
//            it 2 recurrent_kernel: [U, G U]     before the recurrent product (recurrent dropout)
//            3 bias: [G U], optional;       6 h0: [B,U], optional (zeros)
//              gru with reset_after [2,3U]  7 c0: [B,U], optional (zeros), lstm only
//   outputs  y: [B,T,U], or the last step's [B,U] without return_sequences; then the final states
//            h [B,U] (and c); with `save`, what the gradient needs: saved [B,T,P] and states
//            [B,T,S U] after each step. P = G U (before the activations); for gru 4 U: z, r and
//            x part of the candidate before their activations, recurrent part of the candidate
//   attrs    activation, recurrent_activation: names from recurrent_activations(), lstm and gru;
//            return_sequences; go_backwards: the last step first, y in the order of processing;
//            zero_output_for_mask: y is 0 in masked steps, else the previous output is repeated (0
//            before the first); masked steps keep the states; save;
//            recurrent_dropout: rate while training; reset_after (gru); cell_clip (lstm): c stays
//            within -cell_clip and cell_clip, 0 for no bound
//   errors   kInvalidArgument if shapes do not fit or an activation is not known
//
// <op>_backward has the same inputs, then 8 saved, 9 states, 10 dy, 11 dh, 12 dc (the last three
// optional), and the outputs dx, dkernel, drecurrent_kernel, dbias ([G U] also without a bias), dh0
// (and dc0).

#include <string>
#include <vector>

#include "ops/ops.h"

namespace ew::ops {

/// Places of the inputs, as above.
enum RecurrentInput : size_t {
  kX,
  kKernel,
  kRecurrent,
  kBias,
  kMask,
  kRecurrentMask,
  kH0,
  kC0,
  kSaved,
  kStates,
  kDy,
  kDh,
  kDc
};

/// f(x) and f'(x), by the name that attrs use: Keras' names, "hard_sigmoid_k2" for Keras 2's.
struct RecurrentActivation {
  const char* name;
  double (*f)(double x);
  double (*derivative)(double x);
};
std::span<const RecurrentActivation> recurrent_activations();
const RecurrentActivation* find_recurrent_activation(std::string_view name);

/// One kind of recurrent unit, one step, one sample. All arithmetic in double.
class RecurrentCell {
 public:
  virtual ~RecurrentCell() = default;
  /// From xw = x kernel + bias [G U] and the states before the step (h then c; hm is h times the
  /// recurrent mask): what the gradient needs, and the states after it.
  virtual void step(const double* xw, const double* hm, const double* before, double* saved,
                    double* after) const = 0;
  /// From d(states after) to d(xw), d(states before) and d(hm) (both set, not added), adding to the
  /// gradients of the recurrent kernel and, for gru, the recurrent bias.
  virtual void step_back(const double* saved, const double* hm, const double* before,
                         const double* after, const double* d_after, double* d_xw, double* d_hm,
                         double* d_before, double* d_recurrent, double* d_bias) = 0;
};

/// A cell of one node: its sizes, its activations, its recurrent weights as double.
struct RecurrentKind {
  int64_t gates;
  int64_t states;
  int64_t saved_per_unit;  ///< P / U
  std::unique_ptr<RecurrentCell> (*make)(ConstViews in, const Attrs& attrs);
};

Result<std::vector<TensorType>> infer_recurrent(InputTypes in, const Attrs& attrs,
                                                const RecurrentKind& kind);
void run_recurrent(ConstViews in, Views out, const Attrs& attrs, const RecurrentKind& kind);
Result<std::vector<TensorType>> infer_recurrent_backward(InputTypes in, const Attrs& attrs,
                                                         const RecurrentKind& kind);
void run_recurrent_backward(ConstViews in, Views out, const Attrs& attrs,
                            const RecurrentKind& kind);
int64_t recurrent_macs(InputTypes in, std::span<const TensorType> out, const Attrs& attrs);

extern const RecurrentKind kSimpleRnnKind;
extern const RecurrentKind kLstmKind;
extern const RecurrentKind kGruKind;

/// The elements as double; empty for an absent input.
std::vector<double> to_doubles(const ConstTensorView& view);

// Helpers of cells: y[n] += sum_k x[k] w[k, column + n], its gradients, for w of `width` columns.
void add_product(const double* x, const double* w, int64_t rows, int64_t width, int64_t column,
                 int64_t count, double* y);
void add_product_back(const double* dy, const double* w, int64_t rows, int64_t width,
                      int64_t column, int64_t count, double* dx);
void add_outer(const double* x, const double* dy, int64_t rows, int64_t width, int64_t column,
               int64_t count, double* dw);

/// The attributes of all three operators and of their gradients (reset_after is gru's).
extern const AttrDef kRecurrentAttrs[9];

}  // namespace ew::ops
