#pragma once
// Models inside other files: "assets.data#offset=184,length=9987728".

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace ew::formats {

struct FilePart {
  std::string file;
  uint64_t offset = 0;
  std::optional<uint64_t> length;  ///< to the end of the file if it is not given
};

/// Splits FILE#offset=A,length=B; either may be left out. A path without '#', or of a file that
/// exists as it is spelled, is a whole file. Error kInvalidArgument for anything else behind '#'.
Result<FilePart> parse_part(const std::string& path);

/// The bytes of that part. Errors: those of read_file(); kInvalidArgument if it lies outside.
Result<std::vector<uint8_t>> read_part(const std::string& path);

}  // namespace ew::formats
