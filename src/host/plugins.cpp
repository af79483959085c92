#include "host/plugins.h"

#include "base/plugin.h"
#include "host/plugin/sodium_plugin.h"
#include "host/plugin/zstd_plugin.h"

namespace ew::host {
namespace {

template <typename Plugin>
Result<const Plugin*> load(const char* name, const char* symbol, uint32_t version) {
  EW_TRY(void* address, load_plugin(name, symbol));
  const auto* plugin = static_cast<const Plugin*>(address);
  if (plugin->version != version) {
    return unsupported("libedgewise_", name, ".so has version ", plugin->version, ", expected ",
                       version);
  }
  return plugin;
}

}  // namespace

Result<const SodiumPlugin*> sodium() {
  EW_TRY(const auto* plugin,
         load<SodiumPlugin>("sodium", kSodiumPluginSymbol, kSodiumPluginVersion));
  if (!plugin->initialise()) return make_error(ErrorCode::kIo, "libsodium found no random source");
  return plugin;
}

Result<const ZstdPlugin*> zstd() {
  return load<ZstdPlugin>("zstd", kZstdPluginSymbol, kZstdPluginVersion);
}

}  // namespace ew::host
