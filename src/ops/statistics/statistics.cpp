/// statistics: numbers that describe the last dimension of x, each row a window of a signal.
///
///   inputs   x: floating [..., n]
///   outputs  y: [..., count of names], computed in double
///   attrs    names: comma-separated, of the table below and q<percent> ("q25", "q99.5")
///   errors   kInvalidArgument for an unknown name, no name, or an empty window
///   oracle   scipy.stats 1.17 (skew, kurtosis: biased, Fisher), numpy 2.4 (quantile: linear),
///            librosa 0.11 (zero_crossing_rate): 1e-6 relative, f32 rounds once at the end
#include "ops/statistics/statistics.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"names", std::string("mean,std")}};
constexpr size_t kMaxNames = 256;

double peak(const Moments& m) { return std::max(m.max, -m.min); }
double rms(const Moments& m) { return std::sqrt(m.energy / m.n); }
// A constant window has no shape: 0, where the quotient would be undefined.
double ratio(double a, double b) { return b > 0 ? a / b : 0; }

struct Named {
  const char* name;
  double (*f)(const Moments& m);
};
constexpr Named kNamed[] = {
    {"mean", [](const Moments& m) { return m.mean; }},
    {"var", [](const Moments& m) { return m.m2; }},
    {"std", [](const Moments& m) { return std::sqrt(m.m2); }},
    {"min", [](const Moments& m) { return m.min; }},
    {"max", [](const Moments& m) { return m.max; }},
    {"range", [](const Moments& m) { return m.max - m.min; }},
    {"peak", peak},
    {"abs_mean", [](const Moments& m) { return m.absolute / m.n; }},
    {"energy", [](const Moments& m) { return m.energy; }},
    {"rms", rms},
    {"crest", [](const Moments& m) { return ratio(peak(m), rms(m)); }},
    {"shape", [](const Moments& m) { return ratio(rms(m), m.absolute / m.n); }},
    {"impulse", [](const Moments& m) { return ratio(peak(m), m.absolute / m.n); }},
    {"skewness", [](const Moments& m) { return ratio(m.m3, m.m2 * std::sqrt(m.m2)); }},
    {"kurtosis", [](const Moments& m) { return m.m2 > 0 ? m.m4 / (m.m2 * m.m2) - 3 : 0; }},
    {"zero_crossings", [](const Moments& m) { return m.crossings / m.n; }},
};

Result<Statistic> parse_one(std::string_view name) {
  for (const Named& known : kNamed) {
    if (name == known.name) return Statistic{known.f, 0, 0};
  }
  if (name == "median") return Statistic{nullptr, -1, 0.5};
  if (name == "iqr") return Statistic{nullptr, 0.25, 0.75};
  double percent = -1;
  if (name.size() > 1 && name[0] == 'q') {
    const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), percent);
    if (error != std::errc() || end != name.data() + name.size()) percent = -1;
  }
  if (percent >= 0 && percent <= 100) return Statistic{nullptr, -1, percent / 100};
  std::string known = "median, iqr, q<percent>";
  for (const Named& n : kNamed) known += str(", ", n.name);
  return invalid_argument("statistics: expected one of ", known, "; found '", name, "'");
}

template <typename T>
Moments moments_of(const T* x, int64_t n) {
  Moments m;
  m.n = static_cast<double>(n);
  m.min = m.max = static_cast<double>(x[0]);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const auto v = static_cast<double>(x[i]);
    sum += v;
    m.energy += v * v;
    m.absolute += std::abs(v);
    m.min = std::min(m.min, v);
    m.max = std::max(m.max, v);
    m.crossings += i > 0 && (x[i] < T(0)) != (x[i - 1] < T(0)) ? 1 : 0;
  }
  m.mean = sum / m.n;
  for (int64_t i = 0; i < n; ++i) {
    const double d = static_cast<double>(x[i]) - m.mean;
    const double square = d * d;
    m.m2 += square;
    m.m3 += square * d;
    m.m4 += square * square;
  }
  m.m2 /= m.n;
  m.m3 /= m.n;
  m.m4 /= m.n;
  return m;
}

// Between the two nearest of n sorted numbers, linearly (numpy's default).
double quantile(const double* sorted, int64_t n, double fraction) {
  const double place = fraction * static_cast<double>(n - 1);
  const auto low = static_cast<int64_t>(place);
  const int64_t high = std::min(low + 1, n - 1);
  return sorted[low] + (place - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
  Shape shape = in[0]->shape;
  EW_TRY(const std::vector<Statistic> what, parse_statistics(attrs.text("names")));
  if (shape.rank() < 1 || shape[-1] == 0) {
    return invalid_argument("expected windows [..., n] with n of 1 or more, found ", shape);
  }
  shape[-1] = static_cast<int64_t>(what.size());
  return one_output(in[0]->dtype, std::move(shape));
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const std::vector<Statistic> what = *parse_statistics(attrs.text("names"));
  const int64_t n = in[0].shape()[-1];
  std::vector<double> sorted(static_cast<size_t>(n));
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    statistics_of<T>(what, in[0].as<T>(), in[0].size() / n, n, out[0].as<T>(), sorted.data());
  });
}

}  // namespace

Result<std::vector<Statistic>> parse_statistics(std::string_view names) {
  std::vector<Statistic> found;
  while (true) {
    const size_t comma = names.find(',');
    std::string_view name = names.substr(0, comma);
    while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
    while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
    EW_TRY(const Statistic one, parse_one(name));
    found.push_back(one);
    if (found.size() > kMaxNames) {
      return invalid_argument("statistics: expected at most ", kMaxNames, " names");
    }
    if (comma == std::string_view::npos) return found;
    names.remove_prefix(comma + 1);
  }
}

template <typename T>
void statistics_of(std::span<const Statistic> what, const T* x, int64_t rows, int64_t n, T* y,
                   double* sorted) {
  const bool sorts = std::any_of(what.begin(), what.end(),
                                 [](const Statistic& s) { return s.of_moments == nullptr; });
  for (int64_t r = 0; r < rows; ++r, x += n) {
    const Moments m = moments_of(x, n);
    // NaN has no place in an order; the moments are NaN then, and so are the quantiles.
    const bool is_ordered = sorts && m.energy == m.energy;
    if (is_ordered) {
      std::copy(x, x + n, sorted);
      std::sort(sorted, sorted + n);
    }
    for (const Statistic& s : what) {
      double value = m.energy;
      if (s.of_moments != nullptr) value = s.of_moments(m);
      if (s.of_moments == nullptr && is_ordered) {
        value = quantile(sorted, n, s.high) - (s.low < 0 ? 0 : quantile(sorted, n, s.low));
      }
      *y++ = static_cast<T>(value);
    }
  }
}
template void statistics_of<float>(std::span<const Statistic>, const float*, int64_t, int64_t,
                                   float*, double*);
template void statistics_of<double>(std::span<const Statistic>, const double*, int64_t, int64_t,
                                    double*, double*);

const OpDef kStatistics{
    .name = "statistics", .attrs = kAttrs, .infer = infer, .reference = reference};

}  // namespace ew::ops
