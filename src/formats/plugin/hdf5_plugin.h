#pragma once
// The interface of libedgewise_hdf5.so: one constant table. Both sides are built from one tree.

#include <cstddef>
#include <cstdint>

#include "formats/h5_tree.h"

namespace ew::formats {

inline constexpr uint32_t kHdf5PluginVersion = 1;
inline constexpr const char* kHdf5PluginSymbol = "edgewise_hdf5_plugin";

struct Hdf5PluginLimits {
  int64_t max_bytes;
  int64_t max_objects;
};

/// Takes bytes; returns false to stop the sender.
using Hdf5PluginSink = bool (*)(void* context, const uint8_t* bytes, size_t size);

/// What to write, where the file's bytes go, and where the reason of a failure goes.
struct Hdf5PluginWrite {
  const H5Group* root;
  int gzip_level;
  int64_t min_compress_bytes;
  Hdf5PluginSink sink;
  void* context;
  char* message;
  size_t message_size;
};

/// No function throws; none is thread-safe, not even against another.
struct Hdf5Plugin {
  uint32_t version;
  /// Registers filters and silences HDF5. Call first; may be called again.
  void (*start)();
  /// Sends the content of a file's image as h5_wire.h describes, errors included. False if the sink
  /// stopped it.
  bool (*read)(const uint8_t* image, size_t size, const Hdf5PluginLimits& limits,
               Hdf5PluginSink sink, void* context);
  /// 0, or an ErrorCode + 1 with a message.
  int (*write)(const Hdf5PluginWrite& job);
};

}  // namespace ew::formats
