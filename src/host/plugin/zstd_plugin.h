#pragma once
// What libedgewise_zstd.so offers: libzstd, loaded only where something is compressed.

#include <cstddef>
#include <cstdint>

namespace ew::host {

constexpr uint32_t kZstdPluginVersion = 1;
constexpr const char* kZstdPluginSymbol = "edgewise_zstd_plugin";

struct ZstdPlugin {
  uint32_t version;
  size_t (*bound)(size_t size);
  /// Bytes written to `out`, or 0 if it failed.
  size_t (*compress)(uint8_t* out, size_t capacity, const uint8_t* data, size_t size, int level);
  /// True if `data` is one frame of exactly `size_out` bytes.
  bool (*decompress)(uint8_t* out, size_t size_out, const uint8_t* data, size_t size);
};

}  // namespace ew::host
