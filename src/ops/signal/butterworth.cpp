// Butterworth filters: poles of the analog low-pass on a circle, moved to the band, then to z.
#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "ops/signal/tables.h"

namespace ew::ops::signal {
namespace {

using Complex = std::complex<double>;

// The analog frequency that the bilinear transform with a step of 2 maps to `hertz`.
double warped(double hertz, double rate) { return 4 * std::tan(std::numbers::pi * hertz / rate); }
Complex bilinear(Complex s) { return (4.0 + s) / (4.0 - s); }

// Poles of the digital filter.
std::vector<Complex> poles_of(const Butterworth& f) {
  const double low = f.low > 0 ? warped(f.low, f.rate) : 0;
  const double high = f.high > 0 ? warped(f.high, f.rate) : 0;
  std::vector<Complex> poles;
  for (int64_t k = 0; k < f.order; ++k) {
    const double angle = std::numbers::pi * static_cast<double>(2 * k + f.order + 1) /
                         static_cast<double>(2 * f.order);
    const Complex p = std::polar(1.0, angle);
    if (low == 0) {
      poles.push_back(bilinear(p * high));
    } else if (high == 0) {
      poles.push_back(bilinear(low / p));
    } else {
      const Complex half = p * (high - low) / 2.0;
      const Complex root = std::sqrt(half * half - low * high);
      poles.push_back(bilinear(half + root));
      poles.push_back(bilinear(half - root));
    }
  }
  return poles;
}

// Denominators z^2 + a1 z + a2 of pairs: each complex pole with its conjugate, the real ones two by
// two, a last one alone.
std::vector<std::pair<double, double>> pairs_of(const std::vector<Complex>& poles) {
  std::vector<std::pair<double, double>> pairs;
  std::vector<double> reals;
  for (const Complex& p : poles) {
    if (std::abs(p.imag()) < 1e-12) {
      reals.push_back(p.real());
    } else if (p.imag() > 0) {
      pairs.emplace_back(-2 * p.real(), std::norm(p));
    }
  }
  std::sort(reals.begin(), reals.end());
  for (size_t i = 0; i + 1 < reals.size(); i += 2) {
    pairs.emplace_back(-reals[i] - reals[i + 1], reals[i] * reals[i + 1]);
  }
  if (reals.size() % 2 != 0) pairs.emplace_back(-reals.back(), 0);
  return pairs;
}

double gain_at(const std::vector<double>& sections, Complex z) {
  Complex gain = 1;
  for (size_t s = 0; s < sections.size(); s += 6) {
    const double* c = sections.data() + s;
    gain *= (c[0] + (c[1] + c[2] / z) / z) / (c[3] + (c[4] + c[5] / z) / z);
  }
  return std::abs(gain);
}

}  // namespace

Result<std::vector<double>> butterworth(const Butterworth& f) {
  if (f.order < 1 || f.order > 32) {
    return invalid_argument("order: expected 1 to 32, found ", f.order);
  }
  const auto is_edge = [&](double e) { return e == 0 || (e > 0 && e < f.rate / 2); };
  if (!(f.rate > 0) || !is_edge(f.low) || !is_edge(f.high) || (f.low == 0 && f.high == 0) ||
      (f.low > 0 && f.high > 0 && f.low >= f.high)) {
    return invalid_argument("expected 0 < low < high < rate / 2, or one of the two, found ", f.low,
                            ", ", f.high, " and a rate of ", f.rate);
  }
  std::vector<double> sections;
  const bool is_band = f.low > 0 && f.high > 0;
  for (const auto& [a1, a2] : pairs_of(poles_of(f))) {
    // Zeros: at z = -1 of a low-pass, at 1 of a high-pass, one of each per section of a band.
    const bool is_single = a2 == 0 && !is_band;
    const double sign = f.low > 0 ? -1 : 1;
    const double b1 = is_band ? 0 : is_single ? sign : 2 * sign;
    const double b2 = is_band ? -1 : is_single ? 0 : 1;
    for (const double c : {1.0, b1, b2, 1.0, a1, a2}) sections.push_back(c);
  }
  Complex passed = f.low > 0 ? -1 : 1;  // where the gain is 1
  if (is_band) {
    const double centre = std::sqrt(warped(f.low, f.rate) * warped(f.high, f.rate));
    passed = bilinear(Complex(0, centre));
  }
  const double gain = gain_at(sections, passed);
  for (size_t i = 0; i < 3; ++i) sections[i] /= gain;
  return sections;
}

}  // namespace ew::ops::signal
