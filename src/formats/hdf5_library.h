#pragma once
// The HDF5 adapter, loaded on first use, and the lock without which nothing of it may be called.

#include <mutex>

#include "base/result.h"
#include "formats/plugin/hdf5_plugin.h"

namespace ew::formats {

/// The adapter and the right to call it, held as long as this lives.
class Hdf5Library {
 public:
  /// Errors of load_plugin(); kUnsupported if the adapter is of another version.
  static Result<Hdf5Library> acquire();
  const Hdf5Plugin* operator->() const { return plugin_; }

 private:
  Hdf5Library(const Hdf5Plugin* plugin, std::unique_lock<std::mutex> lock)
      : plugin_(plugin), lock_(std::move(lock)) {}

  const Hdf5Plugin* plugin_;
  std::unique_lock<std::mutex> lock_;
};

}  // namespace ew::formats
