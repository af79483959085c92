#include "host/plugins.h"

#include "base/plugin.h"
#include "host/plugin/sodium_plugin.h"
#include "host/plugin/zstd_plugin.h"

namespace ew::host {

Result<const SodiumPlugin*> sodium() {
  EW_TRY(const auto* plugin,
         load_plugin_table<SodiumPlugin>("sodium", kSodiumPluginSymbol, kSodiumPluginVersion));
  if (!plugin->initialise()) return make_error(ErrorCode::kIo, "libsodium found no random source");
  return plugin;
}

Result<const ZstdPlugin*> zstd() {
  return load_plugin_table<ZstdPlugin>("zstd", kZstdPluginSymbol, kZstdPluginVersion);
}

}  // namespace ew::host
