#pragma once
// The adapters of libsodium and libzstd, loaded on first use.

#include "base/result.h"

namespace ew::host {

struct SodiumPlugin;
struct ZstdPlugin;

/// Thread-safe. Errors: as load_plugin(), kUnsupported for another version.
Result<const SodiumPlugin*> sodium();
Result<const ZstdPlugin*> zstd();

}  // namespace ew::host
