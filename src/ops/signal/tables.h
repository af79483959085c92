#pragma once
// The constants of signal processing: windows, filter banks, filters. All in double.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace ew::ops::signal {

/// "hann", "hamming", "blackman", "bartlett" or "rectangular" over n elements; a periodic one is
/// the first n of the symmetric n + 1 (scipy.signal.get_window, fftbins). Error kInvalidArgument.
Result<std::vector<double>> window(const std::string& kind, int64_t n, bool periodic);

struct MelBank {
  double rate = 16000;
  int64_t bins = 0;  ///< of the spectrum: n / 2 + 1
  int64_t mels = 40;
  double low = 0;
  double high = 0;  ///< 0: rate / 2
  /// "slaney" and "htk": the scale, with triangles over hertz (librosa); "tensorflow": HTK's scale
  /// with triangles over mels and nothing from bin 0 (tf.signal, Keras).
  std::string scale = "slaney";
  bool has_area_norm = false;  ///< each triangle divided by half its width in hertz
};
/// [bins, mels], row-major. Errors: kInvalidArgument for a scale, counts or edges that are none.
Result<std::vector<double>> mel_filters(const MelBank& bank);

/// The first `count` of n cosines of the DCT of type II, [n, count]: orthonormal, or twice the
/// plain sum as in scipy.fft.dct.
std::vector<double> dct_matrix(int64_t n, int64_t count, bool is_orthonormal);

struct Butterworth {
  int64_t order = 4;
  double rate = 1;
  double low = 0;   ///< above 0: frequencies below it are stopped
  double high = 0;  ///< above 0: frequencies above it are stopped
};
/// Sections b0 b1 b2 a0 a1 a2, by the bilinear transform (scipy.signal.butter, another order of
/// sections). Error kInvalidArgument for an order outside 1 to 32 or edges outside (0, rate / 2).
Result<std::vector<double>> butterworth(const Butterworth& filter);

/// The low-pass of scipy.signal.resample_poly: 20 max(up, down) + 1 taps, a sinc cut off at the
/// lower of the two rates under a Kaiser window of beta 5, times `up`.
std::vector<double> resampling_filter(int64_t up, int64_t down);

}  // namespace ew::ops::signal
