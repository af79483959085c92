#pragma once
// Fuzz targets: functions that give hostile bytes to one entry of the library. Each returns for
// every input; a crash, a sanitizer's report, a hang, a huge allocation or a failed require() is a
// bug. The same functions replay the committed corpora in the ordinary tests.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/h5_reader.h"
#include "ir/graph.h"

namespace ew::fuzz {

using Bytes = std::span<const uint8_t>;

#define EW_FUZZ(name) void name(Bytes bytes);
#include "targets.def"
#undef EW_FUZZ

/// Ends the process if a property does not hold.
inline void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "property does not hold: %s\n", property);
  std::abort();
}

inline std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// For HDF5: damaged files can keep libhdf5 busy until a limit ends it.
constexpr formats::H5ReadLimits kChildLimits{
    .max_content_bytes = 1 << 24, .max_objects = 20'000, .cpu_seconds = 2, .wall_seconds = 10};

/// The bytes as a file of its own, for readers that take a path. Removed with this object.
class ScratchFile {
 public:
  /// `name` ends the path, so it decides the suffix.
  ScratchFile(Bytes bytes, const std::string& name);
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Verifies an imported graph, fixes its open sizes and, if it is small, runs it by the operators'
/// references.
void exercise(const ir::Graph& graph);

}  // namespace ew::fuzz
