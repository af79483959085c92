#include "formats/hdf5_library.h"

#include "base/plugin.h"

namespace ew::formats {

Result<Hdf5Library> Hdf5Library::acquire() {
  // libhdf5 has one global state for the process, so its lock is global too.
  static std::mutex mutex;
  std::unique_lock lock(mutex);
  EW_TRY(const auto* plugin,
         load_plugin_table<Hdf5Plugin>("hdf5", kHdf5PluginSymbol, kHdf5PluginVersion));
  return Hdf5Library(plugin, std::move(lock));
}

}  // namespace ew::formats
