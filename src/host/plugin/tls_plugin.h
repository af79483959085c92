#pragma once
// What libedgewise_tls.so offers: OpenSSL behind host/tls.h.

#include "host/tls.h"

namespace ew::host {

constexpr uint32_t kTlsPluginVersion = 1;
constexpr const char* kTlsPluginSymbol = "edgewise_tls_plugin";

struct TlsPlugin {
  uint32_t version;
  Result<std::unique_ptr<TlsContext>> (*create)(const TlsOptions& options);
};

}  // namespace ew::host
