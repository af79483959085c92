#include "host/tls.h"

#include "base/plugin.h"
#include "host/plugin/tls_plugin.h"

namespace ew::host {

Result<std::unique_ptr<TlsContext>> create_tls_context(const TlsOptions& options) {
  EW_TRY(void* address, load_plugin("tls", kTlsPluginSymbol));
  const auto* plugin = static_cast<const TlsPlugin*>(address);
  if (plugin->version != kTlsPluginVersion) {
    return unsupported("libedgewise_tls.so has version ", plugin->version, ", expected ",
                       kTlsPluginVersion);
  }
  return plugin->create(options);
}

}  // namespace ew::host
