#include "host/plugin/zstd_plugin.h"

#include <zstd.h>

namespace ew::host {
namespace {

size_t bound(size_t size) { return ZSTD_compressBound(size); }

size_t compress(uint8_t* out, size_t capacity, const uint8_t* data, size_t size, int level) {
  const size_t written = ZSTD_compress(out, capacity, data, size, level);
  return ZSTD_isError(written) != 0 ? 0 : written;
}

bool decompress(uint8_t* out, size_t size_out, const uint8_t* data, size_t size) {
  const size_t written = ZSTD_decompress(out, size_out, data, size);
  return ZSTD_isError(written) == 0 && written == size_out;
}

}  // namespace
}  // namespace ew::host

extern "C" __attribute__((visibility("default"))) const ew::host::ZstdPlugin edgewise_zstd_plugin;
const ew::host::ZstdPlugin edgewise_zstd_plugin = {ew::host::kZstdPluginVersion, ew::host::bound,
                                                   ew::host::compress, ew::host::decompress};
