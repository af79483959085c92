#pragma once
// What an app keeps on disk: the key that encrypts it, which files those are, and their end.

#include <optional>
#include <string>
#include <vector>

#include "agent/app.h"
#include "agent/ledger.h"
#include "host/secret_key.h"

namespace ew::agent {

/// The key of `hashing:`, or nothing without that word; libsodium is then loaded. Errors: as
/// host::load_secret_key and load_plugin.
Result<std::optional<host::SecretKey>> hashing_key(const App& app);
/// The key of `encryption:`, or nothing without that word. Errors: as host::load_secret_key.
Result<std::optional<host::SecretKey>> storage_key(const App& app);

struct StoredFile {
  std::string path;
  uint64_t bytes = 0;
};
/// All files of the app below its state folder: journal, snapshot, queues, ledger, tokens, and
/// recordings. Other people's files are not among them. Error kIo.
Result<std::vector<StoredFile>> stored_files(const App& app);
/// Deletes them, and the folders that are then empty. Error kInvalidArgument while an agent runs;
/// kIo.
Status erase_stored(const App& app, const std::vector<StoredFile>& files);

/// Counts what waited for sinks that the app no longer has as dropped, and removes their queues.
Status give_up_removed_sinks(const App& app, Ledger& ledger);

/// Tells versions of a file apart: changes with its content.
std::string file_stamp(const std::string& path);

}  // namespace ew::agent
