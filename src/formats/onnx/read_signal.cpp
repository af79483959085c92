// ONNX' signal operators and NonMaxSuppression.
#include <cmath>
#include <numbers>
#include <numeric>

#include "formats/onnx/handlers.h"
#include "formats/onnx/tensor_data.h"

namespace ew::formats::onnx {
namespace {

constexpr int64_t kMaxTable = int64_t{1} << 24;

// Numbers as a constant of the type that attribute output_datatype names.
void set_table(Call& c, const std::vector<double>& values, const Shape& shape) {
  const Result<DType> dtype = dtype_of(static_cast<int32_t>(c.integer("output_datatype", 1)));
  if (!dtype.ok()) c.fail(dtype.error().message);
  if (!c.ok()) return;
  c.set(0, c.m().b().constant(Tensor::from(values, shape).cast(*dtype)));
}

// a0 - a1 cos(x) + a2 cos(2x) over one turn.
void cosine_window(Call& c, double a0, double a1, double a2) {
  const double size = c.known_number(0, "the size");
  if (!c.ok()) return;
  if (!(size >= 0 && size <= static_cast<double>(kMaxTable))) {
    c.fail("a window of ", size, " elements");
    return;
  }
  const auto n = static_cast<int64_t>(size);
  const int64_t span = c.integer("periodic", 1) != 0 ? n : n - 1;
  std::vector<double> w;
  for (int64_t i = 0; i < n; ++i) {
    const double x = 2 * std::numbers::pi * static_cast<double>(i) /
                     static_cast<double>(std::max<int64_t>(span, 1));
    w.push_back(a0 - a1 * std::cos(x) + a2 * std::cos(2 * x));
  }
  set_table(c, w, {n});
}

// The permutation of `rank` dimensions that swaps two.
std::vector<int64_t> swapped(int rank, int a, int b) {
  std::vector<int64_t> perm(static_cast<size_t>(rank));
  std::iota(perm.begin(), perm.end(), int64_t{0});
  std::swap(perm[static_cast<size_t>(a)], perm[static_cast<size_t>(b)]);
  return perm;
}

// The transform of x [..., n, 1 or 2] along n.
ValueId transformed(Call& c, ValueId x, Attrs attrs) {
  if (!c.ok()) return kNoValue;
  const int64_t parts = c.shape(x)[-1];
  if (parts != 1 && parts != 2) {
    return c.fail("expected real (1) or complex (2) numbers in the last dimension, found ",
                  c.shape(x));
  }
  if (attrs.flag("onesided") && (parts == 2 || attrs.flag("inverse"))) {
    return c.unsupported("one side of a complex or inverse transform");
  }
  if (parts == 1) {
    std::vector<int64_t> real = c.shape(x).dims();
    real.pop_back();
    if (std::count(real.begin(), real.end(), kUnknown) > 1) {
      return c.unsupported("several unknown dimensions");
    }
    x = c.reshape(x, real);
  }
  attrs.set("complex", parts == 2);
  return c.emit(ops::kDft, {x}, std::move(attrs));
}

}  // namespace

void read_hann_window(Call& c) { cosine_window(c, 0.5, 0.5, 0); }
void read_hamming_window(Call& c) { cosine_window(c, 25.0 / 46, 21.0 / 46, 0); }
void read_blackman_window(Call& c) { cosine_window(c, 0.42, 0.5, 0.08); }

void read_dft(Call& c) {
  ValueId x = c.x();
  if (!c.ok()) return;
  const bool by_input = c.opset() >= 20;
  int64_t given = by_input ? -2 : c.integer("axis", 1);
  if (by_input && c.has(2)) given = static_cast<int64_t>(c.known_number(2, "the axis"));
  const int axis = c.axis_of(given, x);
  int64_t length = 0;
  if (c.has(1)) length = static_cast<int64_t>(c.known_number(1, "the length"));
  const int rank = c.ok() ? c.rank(x) : 2;
  if (!c.ok()) return;
  if (rank < 2 || axis == rank - 1) {
    c.fail("expected an axis before the last of two or more dimensions, found ", axis);
    return;
  }
  const auto perm = swapped(rank, axis, rank - 2);
  const bool moves = axis != rank - 2;
  if (moves) x = c.transpose(x, perm);
  ValueId y = transformed(c, x,
                          {{"length", length},
                           {"inverse", c.integer("inverse", 0) != 0},
                           {"onesided", c.integer("onesided", 0) != 0}});
  if (moves) y = c.transpose(y, perm);
  c.set(0, y);
}

void read_stft(Call& c) {
  ValueId x = c.x();
  const auto step = static_cast<int64_t>(c.known_number(1, "the step"));
  const ValueId window = c.optional_x(2);
  if (!c.ok()) return;
  int64_t length = window == kNoValue ? 0 : c.shape(window)[-1];
  if (c.has(3)) length = static_cast<int64_t>(c.known_number(3, "the frame's length"));
  if (!c.ok()) return;
  if (c.rank(x) != 3 || length < 1 || (window != kNoValue && c.shape(window) != Shape{length})) {
    c.fail("expected a signal [N, T, 1 or 2] and a window of the frame's ", length,
           " elements, found ", c.shape(x));
    return;
  }
  x = c.emit(ops::kFrame, {x}, {{"axis", int64_t{1}}, {"length", length}, {"step", step}});
  if (window != kNoValue) x = c.mul(x, c.unsqueeze(window, {1}));
  c.set(0, transformed(c, x, {{"inverse", false}, {"onesided", c.integer("onesided", 1) != 0}}));
}

// Triangles over whole bins, as the operator's definition rounds them.
void read_mel_weight_matrix(Call& c) {
  const auto mels = static_cast<int64_t>(c.known_number(0, "the number of mels"));
  const auto length = static_cast<int64_t>(c.known_number(1, "the length of the transform"));
  const double rate = c.known_number(2, "the rate");
  const double low = c.known_number(3, "the lower edge");
  const double high = c.known_number(4, "the upper edge");
  if (!c.ok()) return;
  const int64_t bins = length / 2 + 1;
  if (mels < 1 || length < 1 || mels > kMaxTable || length > kMaxTable || mels > kMaxTable / bins ||
      !(rate > 0) || !(low >= 0 && low <= high && high <= rate / 2)) {
    c.fail("expected up to ", kMaxTable, " weights and edges up to half the rate, found ", mels,
           " mels of ", length, " samples, ", low, " and ", high, " at ", rate);
    return;
  }
  const auto to_mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  std::vector<int64_t> edges;
  for (int64_t i = 0; i < mels + 2; ++i) {
    const double mel = to_mel(low) + static_cast<double>(i) * (to_mel(high) - to_mel(low)) /
                                         static_cast<double>(mels + 2);
    const double hertz = 700 * (std::pow(10, mel / 2595) - 1);
    edges.push_back(
        static_cast<int64_t>(std::floor(static_cast<double>(length + 1) * hertz / rate)));
  }
  std::vector<double> weights(static_cast<size_t>(bins * mels), 0.0);
  for (int64_t m = 0; m < mels; ++m) {
    const int64_t* e = edges.data() + m;
    const auto put = [&](int64_t k, double weight) {
      if (k < bins) weights[static_cast<size_t>(k * mels + m)] = weight;
    };
    if (e[0] == e[1]) put(e[1], 1);
    for (int64_t k = e[0]; k <= e[1] && e[0] != e[1]; ++k) {
      put(k, static_cast<double>(k - e[0]) / static_cast<double>(e[1] - e[0]));
    }
    for (int64_t k = e[1]; k < e[2]; ++k) {
      put(k, static_cast<double>(e[2] - k) / static_cast<double>(e[2] - e[1]));
    }
  }
  set_table(c, weights, {bins, mels});
}

// How many boxes remain hangs on their values, so those must be known when the model is read.
void read_non_max_suppression(Call& c) {
  const Tensor boxes = c.known(0, "the boxes");
  const Tensor scores = c.known(1, "the scores");
  const int64_t most = c.has(2) ? static_cast<int64_t>(c.known_number(2, "the most boxes")) : 0;
  const double overlap = c.has(3) ? c.known_number(3, "the overlap") : 0;
  Attrs attrs{{"max_output", most},
              {"max_overlap", overlap},
              {"center", c.integer("center_point_box", 0) != 0}};
  if (c.has(4)) attrs.set("min_score", c.known_number(4, "the score"));
  if (!c.ok()) return;
  const std::vector<ValueId> found =
      c.m().emit_multi(ops::kNonMaxSuppression, {c.x(0), c.x(1)}, std::move(attrs));
  if (!c.ok()) return;
  const Tensor* count = c.m().constant(found[1]);
  if (count == nullptr) {
    c.unsupported("more boxes than are worked out when a model is read");
    return;
  }
  c.set(0, c.slice(found[0], 0, 0, count->values<int64_t>()[0]));
}

}  // namespace ew::formats::onnx
