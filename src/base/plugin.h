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

}  // namespace ew
