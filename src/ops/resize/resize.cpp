/// resize: an image in another size, by TensorFlow's rules with half-pixel centres and no
/// antialiasing.
///
///   inputs   x: floating or int8 [N, H, W, C]
///   outputs  y: [N, size[0], size[1], C]
///   attrs    size: height, width; method: "bilinear", "nearest", "bicubic" (Keys, a = -0.5)
///            coordinates: see resize.h
///   quant    as the input; bilinear in fixed point with 10 bits of a pixel; bicubic has no form
///   errors   kInvalidArgument for sizes below 1, an unknown method or another rank
#include "ops/resize/resize.h"

#include <algorithm>

#include "ops/window.h"

namespace ew::ops {

namespace {

void bilinear(ResizeTaps& taps, float centre, int64_t in) {
  const float floor = std::floor(centre);
  // Above 2^24 pixels a float position may round to beyond the last one.
  const auto low = std::clamp<int64_t>(static_cast<int64_t>(floor), 0, in - 1);
  const auto high = std::min<int64_t>(static_cast<int64_t>(std::ceil(centre)), in - 1);
  const auto part = static_cast<double>(centre - floor);
  taps.of.push_back({{low, 1 - part}, {high, part}});
}

// Keys' kernel over four pixels; those outside the image drop out and the others are scaled up.
// TensorFlow reads the weights from a table of 1024 steps, so the offset is rounded to one.
void bicubic(ResizeTaps& taps, float centre, int64_t in) {
  const auto low = static_cast<int64_t>(std::floor(centre));
  const double t = std::nearbyint(static_cast<double>(centre - std::floor(centre)) * 1024) / 1024;
  const auto near = [](double d) { return ((1.5 * d - 2.5) * d) * d + 1; };
  const auto far = [](double d) { return ((-0.5 * d + 2.5) * d - 4) * d + 2; };
  const double weights[4] = {far(1 + t), near(t), near(1 - t), far(2 - t)};
  std::vector<std::pair<int64_t, double>> found;
  double sum = 0;
  for (int64_t i = 0; i < 4; ++i) {
    const int64_t at = low - 1 + i;
    if (at < 0 || at >= in) continue;
    found.emplace_back(at, weights[i]);
    sum += weights[i];
  }
  for (auto& [at, weight] : found) weight /= sum;
  taps.of.push_back(std::move(found));
}

}  // namespace

ResizeTaps resize_taps(const std::string& method, int64_t in, int64_t out,
                       const std::string& coordinates) {
  ResizeTaps taps;
  const bool aligns = coordinates == "align_corners" && out > 1;
  const float scale = aligns ? static_cast<float>(in - 1) / static_cast<float>(out - 1)
                             : static_cast<float>(in) / static_cast<float>(out);
  const float half = coordinates == "half_pixel" ? 0.5F : 0.F;
  for (int64_t o = 0; o < out; ++o) {
    const float edge = (static_cast<float>(o) + half) * scale;
    if (method == "nearest") {
      const float place = aligns ? std::round(edge) : std::floor(edge);
      taps.of.push_back({{std::clamp<int64_t>(static_cast<int64_t>(place), 0, in - 1), 1.0}});
    } else if (method == "bilinear") {
      bilinear(taps, edge - half, in);
    } else {
      bicubic(taps, edge - half, in);
    }
  }
  return taps;
}

Status check_resize(const Shape& image, const std::vector<int64_t>& lengths,
                    const std::string& method) {
  if (image.rank() != 4) return invalid_argument("expected [N, H, W, C], found ", image);
  if (lengths.size() != 2 || lengths[0] < 1 || lengths[1] < 1) {
    return invalid_argument("expected a height and a width of at least 1, found ", lengths);
  }
  if (image[1] == 0 || image[2] == 0) return invalid_argument("cannot resize the empty ", image);
  if (method != "bilinear" && method != "nearest" && method != "bicubic") {
    return invalid_argument("interpolation: expected bilinear, nearest or bicubic, found '", method,
                            "'");
  }
  return {};
}

namespace {

const AttrDef kAttrs[] = {
    {"size", std::vector<int64_t>{}}, {"method", std::string("bilinear")}, kResizeCoordinates};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_real(*in[0]));
  if (in[0]->quant && attrs.text("method") == "bicubic") {
    return invalid_argument("bicubic has no integer form");
  }
  const std::string& coordinates = attrs.text("coordinates");
  if (coordinates != "half_pixel" && coordinates != "align_corners" &&
      coordinates != "asymmetric") {
    return invalid_argument(
        "coordinates: expected half_pixel, align_corners or asymmetric, found '", coordinates, "'");
  }
  const Shape& x = in[0]->shape;
  EW_TRY_VOID(check_resize(x, attrs.ints("size"), attrs.text("method")));
  return one_output(in[0]->dtype, shape_around(x[0], attrs.ints("size"), x[3]));
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const std::vector<int64_t>& size = attrs.ints("size");
  const ResizeTaps rows =
      resize_taps(attrs.text("method"), shape[1], size[0], attrs.text("coordinates"));
  const ResizeTaps columns =
      resize_taps(attrs.text("method"), shape[2], size[1], attrs.text("coordinates"));
  const int64_t channels = shape[3];
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* x = in[0].as<T>();
    T* y = out[0].as<T>();
    std::vector<double> sums(static_cast<size_t>(size[0] * size[1] * channels));
    for (int64_t n = 0; n < shape[0]; ++n) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for_each_resize_tap(rows, columns, shape[2], [&](int64_t from, int64_t to, double weight) {
        for (int64_t c = 0; c < channels; ++c) {
          sums[static_cast<size_t>(to * channels + c)] +=
              static_cast<double>(x[from * channels + c]) * weight;
        }
      });
      for (const double sum : sums) *y++ = static_cast<T>(sum);
      x += shape[1] * shape[2] * channels;
    }
  });
}

// One dimension of the integer bilinear form: positions in 1/1024 of a pixel.
struct FixedTap {
  int64_t low;
  int64_t high;
  int64_t part;  ///< of `high`, of 1024
};

std::vector<FixedTap> fixed_taps(const std::string& coordinates, int64_t in, int64_t out) {
  constexpr int64_t kOne = 1 << 10;
  const bool aligns = coordinates == "align_corners" && out > 1;
  const int64_t steps = aligns ? out - 1 : out;
  const int64_t scale = (kOne * (aligns ? in - 1 : in) + steps / 2) / steps;
  std::vector<FixedTap> taps;
  for (int64_t o = 0; o < out; ++o) {
    int64_t place = o * scale;
    if (coordinates == "half_pixel") place += scale / 2 - kOne / 2;
    // Divisions cut towards zero, in the definition too.
    const int64_t low = std::min(std::max<int64_t>(place / kOne, 0), in - 1);
    const int64_t high = std::clamp<int64_t>((place + kOne - 1) / kOne, 0, in - 1);
    taps.push_back({low, high, place - kOne * low});
  }
  return taps;
}

void bilinear_i8(ConstViews in, Views out, const Attrs& attrs) {
  constexpr int64_t kOne = 1 << 10;
  const Shape& shape = in[0].shape();
  const std::vector<int64_t>& size = attrs.ints("size");
  const auto rows = fixed_taps(attrs.text("coordinates"), shape[1], size[0]);
  const auto columns = fixed_taps(attrs.text("coordinates"), shape[2], size[1]);
  const int64_t channels = shape[3];
  auto* y = out[0].as<int8_t>();
  for (int64_t n = 0; n < shape[0]; ++n) {
    const int8_t* x = in[0].as<int8_t>() + n * shape[1] * shape[2] * channels;
    const auto at = [&](int64_t r, int64_t c) { return x + (r * shape[2] + c) * channels; };
    for (const FixedTap& r : rows) {
      for (const FixedTap& c : columns) {
        const int8_t* p[] = {at(r.low, c.low), at(r.high, c.low), at(r.low, c.high),
                             at(r.high, c.high)};
        const int64_t w[] = {(kOne - r.part) * (kOne - c.part), r.part * (kOne - c.part),
                             (kOne - r.part) * c.part, r.part * c.part};
        for (int64_t k = 0; k < channels; ++k) {
          const int64_t sum = p[0][k] * w[0] + p[1][k] * w[1] + p[2][k] * w[2] + p[3][k] * w[3];
          const int64_t half = sum > 0 ? 1 << 19 : -(1 << 19);
          *y++ = static_cast<int8_t>((sum + half) / (1 << 20));
        }
      }
    }
  }
}

void nearest_i8(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const std::vector<int64_t>& size = attrs.ints("size");
  const auto rows = resize_taps("nearest", shape[1], size[0], attrs.text("coordinates"));
  const auto columns = resize_taps("nearest", shape[2], size[1], attrs.text("coordinates"));
  const int64_t channels = shape[3];
  auto* y = out[0].as<int8_t>();
  for (int64_t n = 0; n < shape[0]; ++n) {
    const int8_t* x = in[0].as<int8_t>() + n * shape[1] * shape[2] * channels;
    for_each_resize_tap(rows, columns, shape[2], [&](int64_t from, int64_t to, double) {
      std::copy_n(x + from * channels, channels, y + to * channels);
    });
    y += size[0] * size[1] * channels;
  }
}

void reference_i8(ConstViews in, Views out, const Attrs& attrs, Int8Profile) {
  if (attrs.text("method") == "nearest")
    nearest_i8(in, out, attrs);
  else
    bilinear_i8(in, out, attrs);
}

}  // namespace

const OpDef kResize{.name = "resize",
                    .attrs = kAttrs,
                    .infer = infer,
                    .reference = reference,
                    .reference_i8 = reference_i8};

}  // namespace ew::ops
