/// dft: the discrete Fourier transform of the last dimension,
/// X[k] = sum over i < n of x[i] exp(-2 pi j i k / n).
///
///   inputs   x: floating [..., n], or [..., n, 2] (real, imaginary) with complex
///   outputs  y: [..., bins, 2], or [..., bins] of |X| or |X|^2
///   attrs    complex: x holds pairs; length: of the transform, x is padded with zeros or cut to it
///            (0: n); inverse: exp(+...) and divided by the length; onesided: the first
///            length / 2 + 1 bins, which say all of a real x; output: complex, magnitude or power
///   errors   kInvalidArgument for a length below 1 or above 2^24, pairs that are none, or one side
///            of a complex or inverse transform
///   oracle   numpy.fft 2.4: |err| <= 1e-6 of the largest bin in f32 (each of log2 n passes rounds)
#include "ops/dft/dft.h"

#include "ops/signal/fft_impl.h"
#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"complex", false},
                          {"length", int64_t{0}},
                          {"inverse", false},
                          {"onesided", false},
                          {"output", std::string("complex")}};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
  Shape shape = in[0]->shape;
  const bool is_complex = attrs.flag("complex");
  if (shape.rank() < (is_complex ? 2 : 1) || (is_complex && shape[-1] != 2)) {
    return invalid_argument("expected [..., n", is_complex ? ", 2" : "", "], found ", shape);
  }
  const std::string& output = attrs.text("output");
  if (output != "complex" && output != "magnitude" && output != "power") {
    return invalid_argument("output: expected complex, magnitude or power, found '", output, "'");
  }
  if (attrs.flag("onesided") && (is_complex || attrs.flag("inverse"))) {
    return invalid_argument("only the forward transform of a real signal has one side");
  }
  if (is_complex) shape.dims().pop_back();
  const int64_t length = attrs.integer("length") == 0 ? shape[-1] : attrs.integer("length");
  if (length != kUnknown && (length < 1 || length > kMaxDftLength)) {
    return invalid_argument("length: expected 1 to ", kMaxDftLength, ", found ", length);
  }
  shape[-1] = length == kUnknown || !attrs.flag("onesided") ? length : length / 2 + 1;
  if (output == "complex") shape.dims().push_back(2);
  return one_output(in[0]->dtype, std::move(shape));
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const signal::DftPlan plan(dft_rows_of(in[0].shape(), attrs));
  const int64_t count = plan.rows.stride == 0 ? 0 : in[0].size() / plan.rows.stride;
  std::vector<double> work(static_cast<size_t>(plan.workspace(1)));
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    signal::dft_rows<T, double>(plan, in[0].as<T>(), out[0].as<T>(), count, 1, work.data());
  });
}

}  // namespace

signal::DftRows dft_rows_of(const Shape& x, const Attrs& attrs) {
  using Output = signal::DftRows::Output;
  signal::DftRows r;
  r.is_complex = attrs.flag("complex");
  r.given = x[r.is_complex ? -2 : -1];
  r.stride = r.given * (r.is_complex ? 2 : 1);
  r.n = attrs.integer("length") == 0 ? r.given : attrs.integer("length");
  r.bins = attrs.flag("onesided") ? r.n / 2 + 1 : r.n;
  r.inverse = attrs.flag("inverse");
  const std::string& output = attrs.text("output");
  r.output = output == "power"       ? Output::kPower
             : output == "magnitude" ? Output::kMagnitude
                                     : Output::kComplex;
  return r;
}

const OpDef kDft{.name = "dft", .attrs = kAttrs, .infer = infer, .reference = reference};

}  // namespace ew::ops
