#pragma once
// The state of an app at one place of its journal, in one file.

#include <string>

#include "host/file_system.h"

namespace ew::agent {

struct Snapshot {
  uint64_t journal_sequence = 0;  ///< of the last record that the state contains
  std::string state;              ///< empty: there is none
};

/// Replaces the file as one: after a crash the old or the new one is there. Errors: kIo,
/// kResourceLimit.
Status write_snapshot(host::FileSystem& files, const std::string& path, const Snapshot& snapshot);

/// Without a file, an empty one. Errors: kInvalidData if it is damaged; kIo.
Result<Snapshot> read_snapshot(host::FileSystem& files, const std::string& path);

}  // namespace ew::agent
