#include "train/data/npz.h"

#include <algorithm>

#include "train/data/data_library.h"

namespace ew::train {

Result<std::unique_ptr<const NpzFile>> NpzFile::open(const std::string& path) {
  EW_TRY(const DataPlugin* library, data_library());
  return library->open_npz_archive(path);
}

bool NpzFile::has(const std::string& name) const {
  return std::find(names().begin(), names().end(), name) != names().end();
}

}  // namespace ew::train
