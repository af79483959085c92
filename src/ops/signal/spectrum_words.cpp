// Words that transform a signal: spectra, mel and cepstral features, bands, envelopes.
#include <algorithm>
#include <cmath>

#include "ops/signal/tables.h"
#include "ops/signal/words.h"

namespace ew::ops::signal {
namespace {

ValueId log_of(FeatureStep& s, double floor) {
  return s.b.add(kLog, {s.b.add(kMaximum, {s.x, s.scalar(floor)})});
}

ValueId logarithm(FeatureStep& s) { return log_of(s, s.number("floor", 1e-10)); }

// 10 log10(max(x, floor) / reference), and of that nothing below the maximum of the sample - range.
ValueId decibels(FeatureStep& s, double floor, double reference, double range) {
  if (!(floor > 0 && reference > 0)) {
    return s.b.fail(invalid_argument("floor and reference: expected numbers above 0"));
  }
  const double scale = 10 / std::log(10.0);
  s.x = s.b.add(kMul, {log_of(s, floor), s.scalar(scale)});
  s.x = s.b.add(kSub, {s.x, s.scalar(10 * std::log10(std::max(reference, floor)))});
  if (range <= 0) return s.x;
  std::vector<int64_t> axes;
  for (int d = 1; d < s.shape().rank(); ++d) axes.push_back(d);
  const ValueId top = s.b.add(kReduceMax, {s.x}, {{"axes", axes}, {"keepdims", true}});
  return s.b.add(kMaximum, {s.x, s.b.add(kSub, {top, s.scalar(range)})});
}

ValueId decibel(FeatureStep& s) {
  return decibels(s, s.number("floor", 1e-10), s.number("reference", 1), s.number("range", 0));
}

ValueId spectrum_of(FeatureStep& s, int64_t length, const std::string& output) {
  s.length();
  return s.b.add(kDft, {s.x}, {{"length", length}, {"onesided", true}, {"output", output}});
}

ValueId spectrum(FeatureStep& s) {
  return spectrum_of(s, s.integer("length", 0), s.text("output", "magnitude"));
}

// Frames under a window, transformed: [..., T] -> [..., F, bins].
ValueId stft_of(FeatureStep& s, const std::string& output) {
  const int64_t frame = s.integer("frame", 0);
  const int64_t hop = s.integer("hop", frame / 2);
  const int64_t fft = s.integer("fft", frame);
  if (frame < 1 || hop < 1 || fft < frame || fft > (int64_t{1} << 24)) {
    return s.b.fail(
        invalid_argument("expected frame and hop of 1 or more and fft of frame or more, "
                         "found ",
                         frame, ", ", hop, " and ", fft));
  }
  s.length();
  if (s.flag("center", false)) s.x = s.pad(s.x, fft / 2, fft / 2);
  const auto w = s.take(window(s.text("window", "hann"), frame, true));
  if (!s.b.ok()) return kNoValue;
  s.x = s.b.add(kFrame, {s.x}, {{"length", frame}, {"step", hop}});
  s.x = s.b.add(kMul, {s.x, s.constant(w, {frame})});
  return s.x = spectrum_of(s, fft, output);
}

ValueId stft(FeatureStep& s) { return stft_of(s, s.text("output", "magnitude")); }

ValueId mel(FeatureStep& s) {
  const MelBank bank{.rate = s.number("rate", 0),
                     .bins = s.length(),
                     .mels = s.integer("mels", 40),
                     .low = s.number("low", 0),
                     .high = s.number("high", 0),
                     .scale = s.text("scale", "slaney"),
                     .has_area_norm = s.flag("area_norm", true)};
  const auto filters = s.take(mel_filters(bank));
  return s.b.ok() ? s.times(filters, bank.mels) : kNoValue;
}

ValueId log_mel_as(FeatureStep& s, const char* kind, double range) {
  stft_of(s, s.text("output", "power"));
  s.x = mel(s);
  const std::string log = s.text("log", kind);
  const double floor = s.number("floor", 1e-10);
  if (log == "ln") return log_of(s, floor);
  if (log == "db") return decibels(s, floor, 1, s.number("range", range));
  if (log == "none") return s.x;
  return s.b.fail(invalid_argument("log: expected ln, db or none, found '", log, "'"));
}

ValueId log_mel(FeatureStep& s) { return log_mel_as(s, "ln", 0); }

ValueId dct_of(FeatureStep& s, int64_t count, bool is_orthonormal) {
  const int64_t n = s.length();
  if (count < 1 || count > n || count > kMaxLength / n) {
    return s.b.fail(
        invalid_argument("count: expected 1 to ", std::min(n, kMaxLength / n), ", found ", count));
  }
  return s.times(dct_matrix(n, count, is_orthonormal), count);
}

ValueId dct(FeatureStep& s) {
  return dct_of(s, s.integer("count", s.length()), s.flag("orthonormal", true));
}

ValueId mfcc(FeatureStep& s) {
  s.x = log_mel_as(s, "db", 80);
  if (!s.b.ok()) return kNoValue;
  return dct_of(s, s.integer("count", 13), true);
}

// The power |X|^2 / n^2 of a signal between edges, each bin in one band: both sides count.
ValueId bands(FeatureStep& s) {
  const double rate = s.number("rate", 0);
  const std::vector<double> edges = s.numbers("edges");
  const int64_t n = s.length();
  bool rises = edges.size() > 1 && rate > 0;
  for (size_t i = 1; i < edges.size(); ++i) rises = rises && edges[i - 1] < edges[i];
  const int64_t bins = n / 2 + 1;
  const size_t count = edges.empty() ? 0 : edges.size() - 1;
  if (!rises || static_cast<int64_t>(count) > kMaxLength / bins) {
    return s.b.fail(invalid_argument("expected a rate above 0 and two or more rising edges, up to ",
                                     kMaxLength, " weights"));
  }
  std::vector<double> matrix(static_cast<size_t>(bins) * count, 0.0);
  for (int64_t k = 0; k < bins; ++k) {
    const double hertz = static_cast<double>(k) * rate / static_cast<double>(n);
    const double sides = k == 0 || 2 * k == n ? 1 : 2;
    for (size_t e = 0; e < count; ++e) {
      const bool is_inside = hertz >= edges[e] && hertz < edges[e + 1];
      const auto at = static_cast<size_t>(k) * count + e;
      matrix[at] = is_inside ? sides / (static_cast<double>(n) * static_cast<double>(n)) : 0;
    }
  }
  s.x = spectrum_of(s, 0, "power");
  return s.b.ok() ? s.times(matrix, static_cast<int64_t>(count)) : kNoValue;
}

// |x + i Hilbert(x)|: the transform with the upper half of its bins taken away and the lower
// doubled.
ValueId envelope(FeatureStep& s) {
  const int64_t n = s.length();
  std::vector<double> keep;
  for (int64_t k = 0; k < n; ++k) {
    const bool is_middle = k == 0 || 2 * k == n;
    keep.push_back(is_middle ? 1 : 2 * k < n ? 2 : 0);
  }
  const ValueId all = s.b.add(kDft, {s.x});
  const ValueId half = s.b.add(kMul, {all, s.constant(keep, {n, 1})});
  return s.b.add(kDft, {half},
                 {{"complex", true}, {"inverse", true}, {"output", std::string("magnitude")}});
}

// The magnitudes of the envelope without its mean, as amplitudes: 2 |X| / n.
ValueId envelope_spectrum(FeatureStep& s) {
  const int64_t n = s.length();
  const Attrs over_last{{"axes", std::vector<int64_t>{-1}}, {"keepdims", true}};
  s.x = envelope(s);
  s.x = s.b.add(kSub, {s.x, s.b.add(kReduceMean, {s.x}, over_last)});
  s.x = spectrum_of(s, 0, "magnitude");
  return s.b.add(kMul, {s.x, s.scalar(2 / static_cast<double>(n))});
}

const FeatureWord kWords[] = {
    {"Spectrum", "length output", spectrum},
    {"Stft", "frame hop fft window center output", stft},
    {"Mel", "rate mels low high scale area_norm", mel},
    {"Log", "floor", logarithm},
    {"Decibel", "reference floor range", decibel},
    {"LogMel",
     "rate frame hop mels fft low high window center scale area_norm output log floor range",
     log_mel},
    {"Dct", "count orthonormal", dct},
    {"Mfcc",
     "rate frame hop mels count fft low high window center scale area_norm output log floor range",
     mfcc},
    {"Bands", "rate edges", bands},
    {"Envelope", "", envelope},
    {"EnvelopeSpectrum", "", envelope_spectrum},
};

}  // namespace

std::span<const FeatureWord> spectrum_words() { return kWords; }

}  // namespace ew::ops::signal
