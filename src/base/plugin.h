#pragma once
// Adapters of heavy libraries (HDF5, protobuf, libav) are shared objects that are loaded on first
// use, so that a program that needs none of them pays for none.

#include <string>
#include <string_view>

#include "base/result.h"

namespace ew {

/// Loads libedgewise_<name>.so, or finds it loaded, and returns the address of `symbol` in it.
/// Looked for in this order: ../lib/edgewise beside the running program; ../lib/edgewise,
/// ../../lib/edgewise and . beside the shared object that holds this code (a Python package);
/// the folders of the environment variable EDGEWISE_PLUGIN_PATH (separated by ':').
/// It is never unloaded. Thread-safe. Errors: kNotFound lists where it was looked for; kUnsupported
/// with the loader's reason.
Result<void*> load_plugin(std::string_view name, const char* symbol);

/// The same for a plug-in that gives a table of functions, whose member `version` must be
/// `version`. Errors: those above; kUnsupported for another version.
template <typename Plugin>
Result<const Plugin*> load_plugin_table(std::string_view name, const char* symbol,
                                        decltype(Plugin::version) version) {
  EW_TRY(void* address, load_plugin(name, symbol));
  const auto* plugin = static_cast<const Plugin*>(address);
  if (plugin->version != version) {
    return unsupported("libedgewise_", name, ".so has version ", plugin->version, ", expected ",
                       version);
  }
  return plugin;
}

}  // namespace ew
