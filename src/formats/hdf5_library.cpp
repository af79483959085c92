#include "formats/hdf5_library.h"

#include "base/plugin.h"

namespace ew::formats {

Result<Hdf5Library> Hdf5Library::acquire() {
  // libhdf5 has one global state for the process, so its lock is global too.
  static std::mutex mutex;
  std::unique_lock lock(mutex);
  EW_TRY(void* address, load_plugin("hdf5", kHdf5PluginSymbol));
  const auto* plugin = static_cast<const Hdf5Plugin*>(address);
  if (plugin->version != kHdf5PluginVersion) {
    return unsupported("libedgewise_hdf5.so has version ", plugin->version, ", expected ",
                       kHdf5PluginVersion);
  }
  return Hdf5Library(plugin, std::move(lock));
}

}  // namespace ew::formats
