#pragma once
// JPEG and PNG to 8-bit pixels.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace ew::train {

/// Most bytes of one decoded image, and most pixels, whatever its header says.
inline constexpr int64_t kMaxImageBytes = int64_t{1} << 28;

struct ImageInfo {
  int64_t height = 0;
  int64_t width = 0;
  int channels = 0;  ///< 1 or 3; alpha is dropped, palettes become colours

  bool operator==(const ImageInfo&) const = default;
};

/// "28x28x1": height, width, channels.
std::string to_string(const ImageInfo& info);

struct Image {
  ImageInfo info;
  std::vector<uint8_t> pixels;  ///< [H,W,C], 0..255
};

/// Size from the file's beginning. Errors: kInvalidData (neither JPEG nor PNG, or damaged, or
/// `bytes` end too early); kUnsupported (CMYK); kResourceLimit.
Result<ImageInfo> image_info(std::span<const uint8_t> bytes);

/// Pixels with the given channels: 1 (Rec. 601 luma), 3, or 0 for as many as are stored.
/// Errors: as image_info(); a file cut short is kInvalidData.
Result<Image> decode_image(std::span<const uint8_t> bytes, int channels = 0);

/// f32 [height,width,C] by bilinear interpolation between pixel centres, edges repeated, without
/// antialiasing (as tf.image.resize and Keras' image_dataset_from_directory).
void resize_bilinear(const Image& image, int64_t height, int64_t width, float* out);

/// Error kResourceLimit if an image of this size is above the caps, kInvalidData if it is empty.
Status check_image_size(const ImageInfo& info);

}  // namespace ew::train
