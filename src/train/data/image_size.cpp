#include <algorithm>

#include "train/data/image.h"

namespace ew::train {

std::string to_string(const ImageInfo& info) {
  return str(info.height, "x", info.width, "x", info.channels);
}

Status check_image_size(const ImageInfo& info) {
  if (info.height < 1 || info.width < 1) return invalid_data("the image has no pixels");
  if (info.height > kMaxImageBytes / info.width ||
      info.height * info.width > kMaxImageBytes / std::max(info.channels, 1)) {
    return make_error(ErrorCode::kResourceLimit, "image of ", info, " is above the limit of ",
                      kMaxImageBytes, " bytes");
  }
  return {};
}

}  // namespace ew::train
