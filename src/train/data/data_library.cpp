#include "train/data/data_library.h"

#include "base/plugin.h"

namespace ew::train {

Result<const DataPlugin*> data_library() {
  return load_plugin_table<DataPlugin>("data", kDataPluginSymbol, kDataPluginVersion);
}

}  // namespace ew::train
