#include "ops/signal/fft.h"

#include <cmath>
#include <numbers>

#include "ops/signal/fft_impl.h"

namespace ew::ops::signal {
namespace {

// exp(-2 pi i k / n), with k reduced first: large angles would lose digits.
std::pair<double, double> root(int64_t k, int64_t n) {
  const double angle = 2 * std::numbers::pi * static_cast<double>(k % n) / static_cast<double>(n);
  return {std::cos(angle), -std::sin(angle)};
}

// Fours first: they need the fewest passes.
std::vector<int> radices_of(int64_t n) {
  std::vector<int> radices;
  for (const int r : {4, 2, 3, 5, 7, 11, 13}) {
    for (; n % r == 0; n /= r) radices.push_back(r);
  }
  if (n > 1) radices.assign(1, 0);
  return radices;
}

int64_t power_of_two_from(int64_t n) {
  int64_t p = 1;
  while (p < n) p *= 2;
  return p;
}

}  // namespace

void FftTable::push(double real, double imaginary) {
  re.push_back(real);
  im.push_back(imaginary);
  re32.push_back(static_cast<float>(real));
  im32.push_back(static_cast<float>(imaginary));
}

FftPlan::FftPlan(int64_t length) : n(length) {
  const std::vector<int> radices = radices_of(n);
  if (!radices.empty() && radices[0] == 0) {
    convolution = std::make_unique<const FftPlan>(power_of_two_from(2 * n - 1));
    const int64_t m = convolution->n;
    std::vector<double> re(static_cast<size_t>(m), 0.0);
    std::vector<double> im(static_cast<size_t>(m), 0.0);
    int64_t square = 0;  // j^2 mod 2n, step by step: j^2 itself may not fit
    for (int64_t j = 0; j < n; ++j) {
      const auto [c, s] = root(square, 2 * n);
      chirp.push(c, s);
      const auto at = static_cast<size_t>(j);
      const auto mirror = static_cast<size_t>((m - j) % m);
      re[at] = re[mirror] = c / static_cast<double>(m);
      im[at] = im[mirror] = -s / static_cast<double>(m);
      square = (square + 2 * j + 1) % (2 * n);
    }
    std::vector<double> work(static_cast<size_t>(convolution->workspace()));
    transform<double>(*convolution, re.data(), im.data(), 1, work.data());
    for (size_t j = 0; j < re.size(); ++j) kernel.push(re[j], im[j]);
    return;
  }
  int64_t left = n;
  for (const int radix : radices) {
    FftPass pass{radix, left / radix, static_cast<int64_t>(roots.re.size())};
    for (int64_t p = 0; p < pass.groups; ++p) {
      for (int k = 1; k < radix; ++k) {
        const auto [c, s] = root(p * k, left);
        roots.push(c, s);
      }
    }
    FftTable own;
    for (int j = 0; radix > 5 && j < radix; ++j) {
      const auto [c, s] = root(j, radix);
      own.push(c, s);
    }
    radix_roots.push_back(std::move(own));
    passes.push_back(pass);
    left = pass.groups;
  }
}

DftPlan::DftPlan(const DftRows& r) : rows(r), fft(r.packs_pairs() ? r.n / 2 : r.n) {
  if (!r.packs_pairs()) return;
  for (int64_t k = 0; k <= r.n / 2; ++k) {
    const auto [c, s] = root(k, r.n);
    unpack.push(c, s);
  }
}

}  // namespace ew::ops::signal
