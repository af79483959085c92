#include "host/tls.h"

#include "base/plugin.h"
#include "host/plugin/tls_plugin.h"

namespace ew::host {

Result<std::unique_ptr<TlsContext>> create_tls_context(const TlsOptions& options) {
  EW_TRY(const auto* plugin,
         load_plugin_table<TlsPlugin>("tls", kTlsPluginSymbol, kTlsPluginVersion));
  return plugin->create(options);
}

}  // namespace ew::host
