/// biquad: a cascade of second-order filters along the last dimension, each in the transposed
/// direct form II: y = b0 x + z0, z0 = b1 x - a1 y + z1, z1 = b2 x - a2 y.
///
///   inputs   x: floating [..., T]; state: float64 [..., S, 2], optional (z0, z1 of each section;
///            else 0)
///   outputs  y: type of x; with a state also the state after the last element, so that a signal in
///            pieces gives the same bits as in one
///   attrs    sections: b0 b1 b2 a0 a1 a2 of each section in turn (scipy's "sos")
///   errors   kInvalidArgument for coefficients that are not six per section, an a0 of 0, or a
///   state
///            of another shape
///   oracle   scipy.signal.sosfilt 1.17: computed in double like there, rounded once
#include <cmath>

#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"sections", std::vector<double>{}}};
constexpr size_t kMaxSections = 256;

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
  const std::vector<double>& c = attrs.numbers("sections");
  if (c.empty() || c.size() % 6 != 0 || c.size() > 6 * kMaxSections) {
    return invalid_argument("sections: expected b0 b1 b2 a0 a1 a2 of 1 to ", kMaxSections,
                            " sections, found ", c.size(), " numbers");
  }
  for (size_t i = 0; i < c.size(); ++i) {
    if (!std::isfinite(c[i]) || (i % 6 == 3 && c[i] == 0)) {
      return invalid_argument("sections: a coefficient is ", c[i]);
    }
  }
  if (in[0]->shape.rank() < 1)
    return invalid_argument("expected a signal [..., T], found a scalar");
  std::vector<TensorType> out{{in[0]->dtype, in[0]->shape, nullptr}};
  if (in.size() < 2 || in[1] == nullptr) return out;
  Shape state = in[0]->shape;
  state[-1] = static_cast<int64_t>(c.size() / 6);
  state.dims().push_back(2);
  const Shape& found = in[1]->shape;
  bool fits = found.rank() == state.rank() && in[1]->dtype == DType::kF64;
  for (int d = 0; fits && d < state.rank(); ++d) {
    fits = found[d] == state[d] || found[d] == kUnknown || state[d] == kUnknown;
  }
  if (!fits) return invalid_argument("state: expected float64", state, ", found ", *in[1]);
  out.push_back({DType::kF64, state, nullptr});
  return out;
}

// A piece of a row through one section, in place.
void run_section(const double* c, double* x, int64_t n, double& z0, double& z1) {
  const double a0 = c[3];
  const double b0 = c[0] / a0, b1 = c[1] / a0, b2 = c[2] / a0, a1 = c[4] / a0, a2 = c[5] / a0;
  for (int64_t t = 0; t < n; ++t) {
    const double u = x[t];
    const double v = b0 * u + z0;
    z0 = b1 * u - a1 * v + z1;
    z1 = b2 * u - a2 * v;
    x[t] = v;
  }
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const std::vector<double>& c = attrs.numbers("sections");
  const size_t sections = c.size() / 6;
  const int64_t n = in[0].shape()[-1];
  const int64_t rows = in[0].shape().product(0, in[0].shape().rank() - 1);
  const bool has_state = in.size() > 1 && in[1];
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    constexpr int64_t kBlock = 256;  // between sections the signal stays in double
    double block[kBlock];
    std::vector<double> z(2 * sections);
    for (int64_t r = 0; r < rows; ++r) {
      const T* x = in[0].as<T>() + r * n;
      T* y = out[0].as<T>() + r * n;
      const int64_t first = r * static_cast<int64_t>(z.size());
      for (size_t k = 0; k < z.size(); ++k) {
        z[k] = has_state ? in[1].as<double>()[first + static_cast<int64_t>(k)] : 0;
      }
      for (int64_t t = 0; t < n; t += kBlock) {
        const int64_t count = std::min(kBlock, n - t);
        std::copy(x + t, x + t + count, block);
        for (size_t s = 0; s < sections; ++s) {
          run_section(c.data() + 6 * s, block, count, z[2 * s], z[2 * s + 1]);
        }
        for (int64_t i = 0; i < count; ++i) y[t + i] = static_cast<T>(block[i]);
      }
      for (size_t k = 0; has_state && k < z.size(); ++k) {
        out[1].as<double>()[first + static_cast<int64_t>(k)] = z[k];
      }
    }
  });
}

}  // namespace

const OpDef kBiquad{.name = "biquad",
                    .attrs = kAttrs,
                    .min_inputs = 1,
                    .max_inputs = 2,
                    .infer = infer,
                    .reference = reference};

}  // namespace ew::ops
