#pragma once
// The adapters of libjpeg, libpng and libzip, loaded on first use.

#include "train/data/plugin/data_plugin.h"

namespace ew::train {

/// Errors of load_plugin(); kUnsupported if the adapter is of another version.
Result<const DataPlugin*> data_library();

}  // namespace ew::train
