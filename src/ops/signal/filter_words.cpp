// Words that filter a signal along its last dimension and change its rate.
#include "ops/signal/tables.h"
#include "ops/signal/words.h"

namespace ew::ops::signal {
namespace {

constexpr int64_t kMaxTaps = 1 << 16;

ValueId biquad(FeatureStep& s) {
  return s.b.add(kBiquad, {s.x}, {{"sections", s.numbers("sections")}});
}

ValueId butterworth_filter(FeatureStep& s) {
  const auto sections = s.take(butterworth({.order = s.integer("order", 4),
                                            .rate = s.number("rate", 0),
                                            .low = s.number("low", 0),
                                            .high = s.number("high", 0)}));
  return s.b.ok() ? s.b.add(kBiquad, {s.x}, {{"sections", sections}}) : kNoValue;
}

// y[m] = sum over k of taps[k] x[m * stride + taps - 1 - k]: one channel of a convolution, whose
// kernel runs the other way.
ValueId convolved(FeatureStep& s, ValueId x, const std::vector<double>& taps, int64_t stride) {
  if (!s.b.ok()) return kNoValue;
  std::vector<int64_t> lead = s.leading();
  const int64_t n = s.b.shape(x)[-1];
  const auto count = static_cast<int64_t>(taps.size());
  const std::vector<double> reversed(taps.rbegin(), taps.rend());
  // All rows as a batch; leading dimensions come back behind.
  const ValueId rows = s.reshape(x, {-1, n, 1});
  const ValueId kernel = s.constant(reversed, {count, 1, 1});
  const ValueId y = s.b.add(kConv, {rows, kernel}, {{"strides", std::vector<int64_t>{stride}}});
  lead.push_back(s.b.shape(y)[1]);
  return s.reshape(y, lead);
}

ValueId fir(FeatureStep& s) {
  const std::vector<double> taps = s.numbers("taps");
  s.length();
  if (static_cast<int64_t>(taps.size()) > kMaxTaps) {
    return s.b.fail(invalid_argument("taps: expected at most ", kMaxTaps));
  }
  const ValueId padded = s.pad(s.x, static_cast<int64_t>(taps.size()) - 1, 0);
  return convolved(s, padded, taps, 1);
}

// x with zeros between its elements, filtered, of which every down-th is kept.
ValueId resampled(FeatureStep& s, int64_t up, int64_t down) {
  if (up < 1 || down < 1 || up > 1024 || down > 1024) {
    return s.b.fail(
        invalid_argument("expected up and down from 1 to 1024, found ", up, " and ", down));
  }
  for (int64_t d = 2; d <= std::min(up, down); ++d) {
    for (; up % d == 0 && down % d == 0; up /= d) down /= d;
  }
  const int64_t n = s.length();
  if (up == down || !s.b.ok()) return s.x;
  const std::vector<double> taps = resampling_filter(up, down);
  const auto half = static_cast<int64_t>(taps.size() / 2);
  const int64_t out = (n * up + down - 1) / down;
  ValueId wide = s.x;
  if (up > 1) {
    std::vector<int64_t> dims = s.shape().dims();
    dims.push_back(1);
    wide = s.pad(s.reshape(s.x, dims), 0, up - 1);
    dims.pop_back();
    dims.back() = n * up;
    wide = s.reshape(wide, dims);
  }
  // Room for the last output's taps.
  const int64_t behind = std::max<int64_t>((out - 1) * down + half + 1 - n * up, 0);
  return s.slice(convolved(s, s.pad(wide, half, behind), taps, down), 0, out);
}

ValueId resample(FeatureStep& s) { return resampled(s, s.integer("up", 1), s.integer("down", 1)); }

ValueId decimate(FeatureStep& s) { return resampled(s, 1, s.integer("factor", 2)); }

// Straight lines between elements, first and last kept.
ValueId interpolate(FeatureStep& s) {
  std::vector<int64_t> lead = s.leading();
  const int64_t n = s.length();
  const int64_t size = s.integer("size", 0);
  const ValueId rows = s.reshape(s.x, {-1, 1, n, 1});
  const ValueId y = s.b.add(kResize, {rows},
                            {{"size", std::vector<int64_t>{1, size}},
                             {"method", std::string("bilinear")},
                             {"coordinates", std::string("align_corners")}});
  lead.push_back(size);
  return s.reshape(y, lead);
}

const FeatureWord kWords[] = {
    {"Biquad", "sections", biquad},
    {"Butterworth", "order low high rate", butterworth_filter},
    {"Fir", "taps", fir},
    {"Resample", "up down", resample},
    {"Decimate", "factor", decimate},
    {"Interpolate", "size", interpolate},
};

}  // namespace

std::span<const FeatureWord> filter_words() { return kWords; }

}  // namespace ew::ops::signal
