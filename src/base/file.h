#pragma once
// Whole files in and out. Outputs are written aside and renamed, so that an interrupted or failed
// write never leaves a broken file under the final name.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace ew {

/// The file's bytes. Errors: kNotFound; kIo; kResourceLimit above `max_bytes`.
Result<std::vector<uint8_t>> read_file(const std::string& path,
                                       int64_t max_bytes = int64_t{1} << 34);

/// Writes `bytes` to a temporary file beside `path`, syncs it, and renames it to `path`.
/// Errors: kIo (the message carries the system's reason; the temporary file is removed).
Status write_file_atomic(const std::string& path, std::span<const uint8_t> bytes);
Status write_file_atomic(const std::string& path, const std::string& text);

/// A name beside `path` for a writer that must open the file itself; rename with commit_file().
std::string temporary_name(const std::string& path);
Status commit_file(const std::string& temporary, const std::string& path);

bool file_exists(const std::string& path);
bool is_directory(const std::string& path);
/// Lower-case suffix with its dot (".h5"), or "".
std::string file_suffix(const std::string& path);
/// Names (not paths) in a folder, sorted. Error kNotFound or kIo.
Result<std::vector<std::string>> list_directory(const std::string& path);

}  // namespace ew
