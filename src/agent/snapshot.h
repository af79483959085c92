#pragma once
// The state of an app at one place of its journal, in one file.

#include <optional>
#include <string>

#include "host/file_system.h"
#include "host/secret_key.h"

namespace ew::agent {

struct Snapshot {
  uint64_t journal_sequence = 0;  ///< of the last record that the state contains
  std::string state;              ///< empty: there is none
};

using StorageKey = std::optional<host::SecretKey>;

/// Replaces the file as one: after a crash the old or the new one is there. The one that was there
/// stays as PATH.old, so that damage to one costs nothing. With a key it is sealed
/// (XChaCha20-Poly1305, a fresh nonce each time). Errors: kIo, kResourceLimit.
Status write_snapshot(host::FileSystem& files, const std::string& path, const Snapshot& snapshot,
                      const StorageKey& key = {});

/// The newest that can be read. `finding` says if that is not the newest that was written, which is
/// then moved to PATH.damaged. Errors: as read_snapshot() of the newest.
Result<Snapshot> read_newest_snapshot(host::FileSystem& files, const std::string& path,
                                      const StorageKey& key, std::string& finding);

/// Removes both.
Status remove_snapshots(host::FileSystem& files, const std::string& path);

/// Without a file, an empty one. Errors: kInvalidData if it is damaged; kInvalidArgument for a
/// wrong or missing key, or one too many; kIo.
Result<Snapshot> read_snapshot(host::FileSystem& files, const std::string& path,
                               const StorageKey& key = {});

}  // namespace ew::agent
