// JPEG and PNG.
#include "train/data/image.h"

#include "targets.h"

namespace ew::fuzz {

void image(Bytes bytes) {
  const Result<train::ImageInfo> info = train::image_info(bytes);
  if (info.ok() && info->height * info->width > 1 << 20) return;  // slow, and nothing new
  for (const int channels : {0, 1, 3}) {
    const Result<train::Image> image = train::decode_image(bytes, channels);
    if (!image.ok()) continue;
    const train::ImageInfo& found = image->info;
    require(info.ok() && found.height == info->height && found.width == info->width,
            "a file that decodes has the size its header says");
    require(
        static_cast<int64_t>(image->pixels.size()) == found.height * found.width * found.channels,
        "there are as many pixels as the size says");
    std::vector<float> small(static_cast<size_t>(5 * 4 * found.channels));
    train::resize_bilinear(*image, 5, 4, small.data());
  }
}

}  // namespace ew::fuzz
