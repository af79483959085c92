#include "train/data/data_library.h"

#include "base/plugin.h"

namespace ew::train {

Result<const DataPlugin*> data_library() {
  EW_TRY(void* address, load_plugin("data", kDataPluginSymbol));
  const auto* plugin = static_cast<const DataPlugin*>(address);
  if (plugin->version != kDataPluginVersion) {
    return unsupported("libedgewise_data.so has version ", plugin->version, ", expected ",
                       kDataPluginVersion);
  }
  return plugin;
}

}  // namespace ew::train
