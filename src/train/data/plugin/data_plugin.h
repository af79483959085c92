#pragma once
// The interface of libedgewise_data.so, which holds libjpeg, libpng and libzip: one constant table.
// Both sides are built from one tree.

#include "train/data/image.h"
#include "train/data/npz.h"

namespace ew::train {

inline constexpr uint32_t kDataPluginVersion = 1;
inline constexpr const char* kDataPluginSymbol = "edgewise_data_plugin";

/// No function throws; all are thread-safe. What they do stands in image.h and npz.h.
struct DataPlugin {
  uint32_t version;
  Result<ImageInfo> (*jpeg_info)(std::span<const uint8_t> bytes);
  Result<Image> (*decode_jpeg)(std::span<const uint8_t> bytes, int channels);
  Result<ImageInfo> (*png_info)(std::span<const uint8_t> bytes);
  Result<Image> (*decode_png)(std::span<const uint8_t> bytes, int channels);
  Result<std::unique_ptr<const NpzFile>> (*open_npz_archive)(const std::string& path);
};

}  // namespace ew::train
