#include "ops/signal/tables.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ew::ops::signal {
namespace {

constexpr int64_t kMaxWeights = int64_t{1} << 24;
constexpr double kPi = std::numbers::pi;

// A sum of cosines over the window: a0 - a1 cos(x) + a2 cos(2x).
struct Cosines {
  const char* name;
  double a0, a1, a2;
};
constexpr Cosines kCosines[] = {{"hann", 0.5, 0.5, 0},
                                {"hamming", 0.54, 0.46, 0},
                                {"blackman", 0.42, 0.5, 0.08},
                                {"rectangular", 1, 0, 0}};

// Slaney's Auditory Toolbox: linear up to 1000 Hz, then logarithmic with 27 steps to a factor
// of 6.4.
constexpr double kLinearStep = 200.0 / 3;
constexpr double kBreakHertz = 1000;
constexpr double kBreakMel = kBreakHertz / kLinearStep;
const double kLogStep = std::log(6.4) / 27;

double to_mel(double hertz, bool is_slaney) {
  if (!is_slaney) return 2595 * std::log10(1 + hertz / 700);
  if (hertz < kBreakHertz) return hertz / kLinearStep;
  return kBreakMel + std::log(hertz / kBreakHertz) / kLogStep;
}

double to_hertz(double mel, bool is_slaney) {
  if (!is_slaney) return 700 * (std::pow(10, mel / 2595) - 1);
  if (mel < kBreakMel) return mel * kLinearStep;
  return kBreakHertz * std::exp(kLogStep * (mel - kBreakMel));
}

// The modified Bessel function of the first kind and order 0, by its series.
double bessel_i0(double x) {
  double term = 1;
  double sum = 1;
  for (int k = 1; term > 1e-18 * sum; ++k) {
    term *= x * x / (4.0 * k * k);
    sum += term;
  }
  return sum;
}

}  // namespace

Result<std::vector<double>> window(const std::string& kind, int64_t n, bool periodic) {
  std::vector<double> w(static_cast<size_t>(std::max<int64_t>(n, 0)), 1.0);
  const double span = static_cast<double>(periodic ? n : n - 1);
  const auto* found = std::find_if(std::begin(kCosines), std::end(kCosines),
                                   [&](const Cosines& c) { return kind == c.name; });
  if (found == std::end(kCosines) && kind != "bartlett") {
    return invalid_argument(
        "window: expected hann, hamming, blackman, bartlett or rectangular, found '", kind, "'");
  }
  if (n <= 1) return w;
  for (size_t i = 0; i < w.size(); ++i) {
    const double x = 2 * kPi * static_cast<double>(i) / span;
    if (kind == "bartlett")
      w[i] = 1 - std::abs(2 * static_cast<double>(i) / span - 1);
    else
      w[i] = found->a0 - found->a1 * std::cos(x) + found->a2 * std::cos(2 * x);
  }
  return w;
}

Result<std::vector<double>> mel_filters(const MelBank& bank) {
  const bool is_slaney = bank.scale == "slaney";
  const bool over_mels = bank.scale == "tensorflow";
  if (!is_slaney && !over_mels && bank.scale != "htk") {
    return invalid_argument("scale: expected slaney, htk or tensorflow, found '", bank.scale, "'");
  }
  const double high = bank.high == 0 ? bank.rate / 2 : bank.high;
  if (bank.mels < 1 || bank.mels > 4096 || bank.bins < 2 || bank.bins > kMaxWeights / bank.mels) {
    return invalid_argument("expected 1 to 4096 mels, 2 or more bins and up to ", kMaxWeights,
                            " weights, found ", bank.mels, " of ", bank.bins);
  }
  if (!(bank.rate > 0 && bank.low >= 0 && bank.low < high && high <= bank.rate / 2)) {
    return invalid_argument("expected 0 <= low < high <= rate / 2, found ", bank.low, ", ", high,
                            " and a rate of ", bank.rate);
  }
  const auto mels = static_cast<size_t>(bank.mels);
  const double first = to_mel(bank.low, is_slaney);
  const double last = to_mel(high, is_slaney);
  std::vector<double> edges;  // of the triangles, in hertz or mels
  for (size_t m = 0; m < mels + 2; ++m) {
    const double mel =
        first + (last - first) * static_cast<double>(m) / static_cast<double>(mels + 1);
    edges.push_back(over_mels ? mel : to_hertz(mel, is_slaney));
  }
  std::vector<double> bank_values(static_cast<size_t>(bank.bins) * mels, 0.0);
  for (int64_t k = over_mels ? 1 : 0; k < bank.bins; ++k) {
    const double hertz =
        bank.rate / 2 * static_cast<double>(k) / static_cast<double>(bank.bins - 1);
    const double x = over_mels ? to_mel(hertz, false) : hertz;
    for (size_t m = 0; m < mels; ++m) {
      const double up = (x - edges[m]) / (edges[m + 1] - edges[m]);
      const double down = (edges[m + 2] - x) / (edges[m + 2] - edges[m + 1]);
      const double norm = bank.has_area_norm ? 2 / (edges[m + 2] - edges[m]) : 1;
      bank_values[static_cast<size_t>(k) * mels + m] = norm * std::max(0.0, std::min(up, down));
    }
  }
  return bank_values;
}

std::vector<double> dct_matrix(int64_t n, int64_t count, bool is_orthonormal) {
  std::vector<double> matrix;
  const auto length = static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < count; ++k) {
      const double scale = is_orthonormal ? std::sqrt((k == 0 ? 1 : 2) / length) : 2;
      const auto turns = static_cast<double>(k * (2 * i + 1) % (4 * n));
      matrix.push_back(scale * std::cos(kPi * turns / (2 * length)));
    }
  }
  return matrix;
}

std::vector<double> resampling_filter(int64_t up, int64_t down) {
  const int64_t rate = std::max(up, down);
  const int64_t half = 10 * rate;
  const double cutoff = 1 / static_cast<double>(rate);
  std::vector<double> taps;
  double sum = 0;
  for (int64_t i = -half; i <= half; ++i) {
    const double x = kPi * cutoff * static_cast<double>(i);
    const double place = static_cast<double>(i) / static_cast<double>(half);
    const double weight = bessel_i0(5 * std::sqrt(std::max(0.0, 1 - place * place)));
    taps.push_back(weight * (i == 0 ? 1 : std::sin(x) / x));
    sum += taps.back();
  }
  for (double& tap : taps) tap *= static_cast<double>(up) / sum;
  return taps;
}

}  // namespace ew::ops::signal
