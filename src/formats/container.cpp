#include "formats/container.h"

#include <charconv>

#include "base/file.h"
#include "base/str.h"

namespace ew::formats {

Result<FilePart> parse_part(const std::string& path) {
  const size_t hash = path.rfind('#');
  if (hash == std::string::npos || file_exists(path)) return FilePart{path, 0, std::nullopt};
  FilePart part{path.substr(0, hash), 0, std::nullopt};
  for (const std::string& entry : split(path.substr(hash + 1), ',')) {
    const size_t equals = entry.find('=');
    const std::string key = entry.substr(0, equals);
    const std::string text = equals == std::string::npos ? "" : entry.substr(equals + 1);
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_number = error == std::errc() && end == text.data() + text.size();
    if (!is_number || (key != "offset" && key != "length")) {
      return invalid_argument(path, ": expected FILE#offset=BYTES,length=BYTES, found '", entry,
                              "'");
    }
    if (key == "offset")
      part.offset = number;
    else
      part.length = number;
  }
  return part;
}

Result<std::vector<uint8_t>> read_part(const std::string& path) {
  EW_TRY(const FilePart part, parse_part(path));
  EW_TRY(std::vector<uint8_t> bytes, read_file(part.file));
  const uint64_t size = bytes.size();
  if (part.offset > size || part.length.value_or(0) > size - part.offset) {
    return invalid_argument(path, ": lies outside the file of ", size, " bytes");
  }
  if (part.length) bytes.resize(part.offset + *part.length);
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(part.offset));
  return bytes;
}

}  // namespace ew::formats
