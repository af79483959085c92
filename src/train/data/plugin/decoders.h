#pragma once
// What the table of data_plugin.h points to; one library each.

#include "train/data/image.h"
#include "train/data/npz.h"

namespace ew::train {

Result<ImageInfo> jpeg_info(std::span<const uint8_t> bytes);
Result<Image> decode_jpeg(std::span<const uint8_t> bytes, int channels);
Result<ImageInfo> png_info(std::span<const uint8_t> bytes);
Result<Image> decode_png(std::span<const uint8_t> bytes, int channels);
Result<std::unique_ptr<const NpzFile>> open_npz_archive(const std::string& path);

}  // namespace ew::train
