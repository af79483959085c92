#include "train/data/image.h"

#include <algorithm>
#include <cmath>

#include "train/data/data_library.h"

namespace ew::train {
namespace {

bool is_jpeg(std::span<const uint8_t> bytes) {
  return bytes.size() >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff;
}

bool is_png(std::span<const uint8_t> bytes) {
  static constexpr uint8_t kMagic[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  return bytes.size() >= 8 && std::equal(std::begin(kMagic), std::end(kMagic), bytes.begin());
}

Error not_an_image() { return invalid_data("neither a JPEG nor a PNG file"); }

// Where output position `i` of `to` lies among `from` inputs.
struct Lerp {
  int64_t low;
  int64_t high;
  float fraction;
};
Lerp lerp_at(int64_t i, int64_t from, int64_t to) {
  const float scale = static_cast<float>(from) / static_cast<float>(to);
  const float position = (static_cast<float>(i) + 0.5f) * scale - 0.5f;
  const float floor = std::floor(position);
  const auto low = static_cast<int64_t>(floor);
  return {std::clamp<int64_t>(low, 0, from - 1), std::clamp<int64_t>(low + 1, 0, from - 1),
          position - floor};
}

}  // namespace

Result<ImageInfo> image_info(std::span<const uint8_t> bytes) {
  if (!is_jpeg(bytes) && !is_png(bytes)) return not_an_image();
  EW_TRY(const DataPlugin* library, data_library());
  return is_jpeg(bytes) ? library->jpeg_info(bytes) : library->png_info(bytes);
}

Result<Image> decode_image(std::span<const uint8_t> bytes, int channels) {
  if (!is_jpeg(bytes) && !is_png(bytes)) return not_an_image();
  EW_TRY(const DataPlugin* library, data_library());
  return is_jpeg(bytes) ? library->decode_jpeg(bytes, channels)
                        : library->decode_png(bytes, channels);
}

void resize_bilinear(const Image& image, int64_t height, int64_t width, float* out) {
  const int64_t channels = image.info.channels;
  std::vector<Lerp> columns;
  for (int64_t x = 0; x < width; ++x) columns.push_back(lerp_at(x, image.info.width, width));
  for (int64_t y = 0; y < height; ++y) {
    const Lerp row = lerp_at(y, image.info.height, height);
    const uint8_t* top = image.pixels.data() + row.low * image.info.width * channels;
    const uint8_t* bottom = image.pixels.data() + row.high * image.info.width * channels;
    for (const Lerp& column : columns) {
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t left = column.low * channels + c;
        const int64_t right = column.high * channels + c;
        const auto mix = [](uint8_t a, uint8_t b, float f) {
          return static_cast<float>(a) + (static_cast<float>(b) - static_cast<float>(a)) * f;
        };
        const float upper = mix(top[left], top[right], column.fraction);
        const float lower = mix(bottom[left], bottom[right], column.fraction);
        *out++ = upper + (lower - upper) * row.fraction;
      }
    }
  }
}

}  // namespace ew::train
