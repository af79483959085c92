// Keras STFTSpectrogram and MelSpectrogram.
#include <cmath>

#include "formats/keras/lowering.h"
#include "formats/keras/spatial.h"
#include "ops/signal/tables.h"

namespace ew::ops {
namespace {

using formats::drops_mask;
using formats::LayerContext;

constexpr int64_t kMaxFft = int64_t{1} << 20;
constexpr double kEpsilon = 1e-7;  // Keras' own

ValueId floored(LayerContext& c, ValueId x, double floor) {
  return c.b.add(kMaximum, {x, c.b.scalar(floor, c.b.type(x).dtype)});
}

ValueId as_shape(LayerContext& c, ValueId x, std::vector<int64_t> shape) {
  return c.b.add(kReshape, {x}, {{"shape", std::move(shape)}});
}

struct StftLayer {
  int64_t length = 256;
  int64_t step = 128;
  int64_t fft = 256;
  std::string mode;
  std::string padding;
  bool is_first = false;
  bool expands = false;
};

Result<StftLayer> read_stft(const LayerContext& c) {
  StftLayer l;
  EW_TRY(l.length, c.config.get_int("frame_length", 256));
  if (l.length < 1 || l.length > kMaxFft) {
    return invalid_data("frame_length: expected 1 to ", kMaxFft, ", found ", l.length);
  }
  EW_TRY(l.step, c.config.get_int("frame_step", l.length / 2));
  int64_t power = 1;
  while (power < l.length) power *= 2;
  EW_TRY(l.fft, c.config.get_int("fft_length", power));
  if (l.step < 1 || l.step > l.length || l.fft < l.length || l.fft > kMaxFft) {
    return invalid_data("a frame_step of ", l.step, " and an fft_length of ", l.fft,
                        " do not fit frames of ", l.length);
  }
  EW_TRY(l.mode, c.config.get_string("mode", "log"));
  EW_TRY(l.padding, c.config.get_string("padding", "valid"));
  EW_TRY(l.expands, c.config.get_bool("expand_dims", false));
  EW_TRY(l.is_first, formats::is_channels_first(c.config));
  if (l.padding != "valid" && l.padding != "same") {
    return invalid_data("padding: expected valid or same, found '", l.padding, "'");
  }
  return l;
}

// The layer's own kernels [length, 1, bins] over one channel: [N, F, bins].
ValueId part_of(LayerContext& c, const StftLayer& l, ValueId x, const char* name) {
  const ValueId kernel = c.weight(name, {l.length, 1, l.fft / 2 + 1});
  return c.b.add(kConv, {x, kernel},
                 {{"strides", std::vector<int64_t>{l.step}}, {"padding", l.padding}});
}

Result<ValueId> mode_of(LayerContext& c, const StftLayer& l, ValueId x) {
  if (l.mode == "real") return part_of(c, l, x, "real_kernel");
  if (l.mode == "imag") return part_of(c, l, x, "imag_kernel");
  const ValueId real = part_of(c, l, x, "real_kernel");
  const ValueId imaginary = part_of(c, l, x, "imag_kernel");
  if (l.mode == "stft") return c.b.add(kConcat, {real, imaginary}, {{"axis", int64_t{-1}}});
  const ValueId power = c.b.add(kAdd, {c.b.add(kSquare, {real}), c.b.add(kSquare, {imaginary})});
  if (l.mode == "psd") {  // both sides: all bins but the first and the last count twice
    const int64_t bins = l.fft / 2 + 1;
    std::vector<double> sides(static_cast<size_t>(bins), 2.0);
    sides.front() = sides.back() = 1;
    const ValueId twice =
        c.b.constant(ir::Tensor::from(sides, Shape{bins}).cast(c.b.type(power).dtype));
    return c.b.add(kMul, {power, twice});
  }
  const ValueId magnitude = c.b.add(kSqrt, {floored(c, power, kEpsilon)});
  if (l.mode == "magnitude") return magnitude;
  if (l.mode == "log") return c.b.add(kLog, {floored(c, magnitude, kEpsilon)});
  return unsupported("mode '", l.mode, "'");
}

Result<ValueId> stft_spectrogram(LayerContext& c) {
  EW_TRY(const ValueId input, formats::sole_input(c));
  EW_TRY(const StftLayer l, read_stft(c));
  const Shape shape = c.b.shape(input);
  if (shape.rank() != 3) return invalid_data("expected an input of rank 3, found ", shape);
  const int64_t time = shape[l.is_first ? 2 : 1];
  const int64_t channels = shape[l.is_first ? 1 : 2];
  if (time == kUnknown || channels == kUnknown) {
    return unsupported("a signal of open length or number of channels, ", shape);
  }
  ValueId x = l.is_first ? input : formats::transpose(c.b, input, {0, 2, 1});
  x = as_shape(c, x, {-1, time, 1});
  EW_TRY(ValueId y, mode_of(c, l, x));
  if (!c.b.ok()) return y;
  const int64_t frames = c.b.shape(y)[1];
  const int64_t bins = c.b.shape(y)[2];
  y = as_shape(c, y, {-1, channels, frames, bins});
  if (l.expands) return l.is_first ? y : formats::transpose(c.b, y, {0, 2, 3, 1});
  y = formats::transpose(c.b, y, {0, 1, 3, 2});
  y = as_shape(c, y, {-1, channels * bins, frames});
  return l.is_first ? y : formats::transpose(c.b, y, {0, 2, 1});
}

struct MelLayer {
  int64_t fft = 2048;
  int64_t stride = 512;
  int64_t length = 2048;
  std::string window = "hann";
  signal::MelBank bank;
};

Result<MelLayer> read_mel(const LayerContext& c) {
  MelLayer l;
  EW_TRY(l.fft, c.config.get_int("fft_length", 2048));
  EW_TRY(l.stride, c.config.get_int("sequence_stride", 512));
  EW_TRY(l.length, c.config.get_int("sequence_length", l.fft));
  if (l.length < 1 || l.fft < l.length || l.fft > kMaxFft || l.stride < 1) {
    return invalid_data("fft_length ", l.fft, ", sequence_length ", l.length,
                        " and sequence_stride ", l.stride, " do not fit together");
  }
  EW_TRY(l.window, c.config.get_string("window", "hann"));
  if (l.window != "hann" && l.window != "hamming") {
    return invalid_data("window: expected hann or hamming, found '", l.window, "'");
  }
  EW_TRY(l.bank.rate, c.config.get_double("sampling_rate", 16000));
  EW_TRY(l.bank.mels, c.config.get_int("num_mel_bins", 128));
  EW_TRY(l.bank.low, c.config.get_double("min_freq", 20));
  EW_TRY(l.bank.high, c.config.get_double("max_freq", 0));
  l.bank.bins = l.fft / 2 + 1;
  l.bank.scale = "tensorflow";
  return l;
}

// x [..., T] with `count` elements mirrored at its ends, the end elements not repeated.
ValueId mirrored(LayerContext& c, ValueId x, int64_t count) {
  const int axis = c.b.shape(x).rank() - 1;
  const int64_t n = c.b.shape(x)[-1];
  const ValueId before =
      formats::reverse(c.b, formats::slice_axis(c.b, x, axis, 1, count + 1), axis);
  const ValueId behind =
      formats::reverse(c.b, formats::slice_axis(c.b, x, axis, n - 1 - count, n - 1), axis);
  return c.b.add(kConcat, {before, x, behind}, {{"axis", int64_t{axis}}});
}

// 10 log10(max(x, floor) / max(reference, floor)), not below the maximum of all - range.
Result<ValueId> decibels(LayerContext& c, ValueId x) {
  EW_TRY(const double floor, c.config.get_double("min_power", 1e-10));
  EW_TRY(const double reference, c.config.get_double("ref_power", 1));
  EW_TRY(const double range, c.config.get_double("top_db", 80));
  const DType dtype = c.b.type(x).dtype;
  const double scale = 10 / std::log(10.0);
  x = c.b.add(kMul, {c.b.add(kLog, {floored(c, x, floor)}), c.b.scalar(scale, dtype)});
  const double zero = 10 * std::log10(std::max(std::abs(reference), floor));
  x = c.b.add(kSub, {x, c.b.scalar(zero, dtype)});
  const ValueId top = c.b.add(kReduceMax, {x});
  return c.b.add(kMaximum, {x, c.b.add(kSub, {top, c.b.scalar(range, dtype)})});
}

Result<ValueId> mel_spectrogram(LayerContext& c) {
  EW_TRY(ValueId x, formats::sole_input(c));
  EW_TRY(const MelLayer l, read_mel(c));
  EW_TRY(const std::vector<double> filters, signal::mel_filters(l.bank));
  EW_TRY(const std::vector<double> w, signal::window(l.window, l.length, true));
  EW_TRY(const double exponent, c.config.get_double("mag_exp", 2));
  EW_TRY(const bool in_decibels, c.config.get_bool("power_to_db", true));
  if (!is_floating(c.b.type(x).dtype) || dtype_size(c.b.type(x).dtype) < 4) {
    x = formats::cast(c.b, x, DType::kF32);
  }
  const DType dtype = c.b.type(x).dtype;
  const int64_t time = c.b.shape(x).rank() == 0 ? kUnknown : c.b.shape(x)[-1];
  if (time == kUnknown) return unsupported("a signal of open length, ", c.b.shape(x));
  if (time <= l.fft / 2) {
    return invalid_data("a signal of ", time, " is too short to mirror ", l.fft / 2, " elements");
  }
  x = mirrored(c, x, l.fft / 2);
  std::vector<double> wide(static_cast<size_t>(l.fft), 0.0);  // the window in the middle
  std::copy(w.begin(), w.end(), wide.begin() + (l.fft - l.length) / 2);
  x = c.b.add(kFrame, {x}, {{"length", l.fft}, {"step", l.stride}});
  x = c.b.add(kMul, {x, c.b.constant(ir::Tensor::from(wide, Shape{l.fft}).cast(dtype))});
  const std::string output = exponent == 2 ? "power" : "magnitude";
  x = c.b.add(kDft, {x}, {{"onesided", true}, {"output", output}});
  if (exponent != 2 && exponent != 1) x = c.b.add(kPower, {x}, {{"alpha", exponent}});
  const ir::Tensor bank = ir::Tensor::from(filters, Shape{l.bank.bins, l.bank.mels});
  x = c.b.add(kMatmul, {x, c.b.constant(bank.cast(dtype))});
  if (in_decibels) {
    EW_TRY(x, decibels(c, x));
  }
  if (!c.b.ok()) return x;
  std::vector<int64_t> perm;
  for (int d = 0; d < c.b.shape(x).rank(); ++d) perm.push_back(d);
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return formats::cast(c.b, formats::transpose(c.b, x, perm), c.compute_dtype);
}

const formats::KerasLayer kLayers[] = {
    {"MelSpectrogram", drops_mask<mel_spectrogram>},
    {"STFTSpectrogram", drops_mask<stft_spectrogram>},
};

}  // namespace

extern const formats::OpIo spectrogram_io{.keras_layers = kLayers};

}  // namespace ew::ops
