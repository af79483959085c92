#include "agent/storage.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "host/file_system.h"
#include "host/plugins.h"

namespace ew::agent {
namespace {

constexpr int kMaxDepth = 4;
constexpr std::string_view kOwnFiles[] = {"ledger",           "snapshot",       "snapshot.old",
                                          "snapshot.damaged", "journal.cursor", "tokens",
                                          "token-view",       "token-operate"};

bool is_log_segment(std::string_view name) {
  return name.size() == 24 && name.ends_with(".log") &&
         std::ranges::all_of(name.substr(0, 20), [](char c) { return c >= '0' && c <= '9'; });
}

/// Whether the agent writes files of this name; replace_file() leaves "NAME.new" if it is killed.
bool is_own(std::string_view name, bool is_top, bool is_queue, bool is_log) {
  if (is_log_segment(name) || (is_log && name == "lock")) return true;
  if (is_queue) return name.ends_with(".cursor");
  if (!is_top) return false;
  const std::string_view base = name.ends_with(".new") ? name.substr(0, name.size() - 4) : name;
  return std::ranges::find(kOwnFiles, base) != std::end(kOwnFiles);
}

Status collect(const std::string& folder, int depth, bool is_queue, std::vector<StoredFile>& out) {
  // A log's folder has a lock of its own.
  EW_TRY(const auto names, host::real_file_system().list(folder));
  const bool is_log = depth > 0 && std::ranges::any_of(names, is_log_segment);
  for (const std::string& name : names) {
    const std::string path = folder + "/" + name;
    struct stat info{};
    // Links are not followed: what they point to is not the agent's.
    if (::lstat(path.c_str(), &info) != 0) continue;
    if (S_ISDIR(info.st_mode) && depth < kMaxDepth) {
      EW_TRY_VOID(collect(path, depth + 1, depth == 0 && name == "queue", out));
    } else if (S_ISREG(info.st_mode) && is_own(name, depth == 0, is_queue, is_log)) {
      out.push_back({path, static_cast<uint64_t>(info.st_size)});
    }
  }
  return {};
}

Status remove_folder_of_log(const std::string& folder) {
  if (!is_directory(folder)) return {};
  host::FileSystem& files = host::real_file_system();
  EW_TRY(const auto names, files.list(folder));
  for (const std::string& name : names) EW_TRY_VOID(files.remove(folder + "/" + name));
  ::rmdir(folder.c_str());
  return {};
}

}  // namespace

namespace {

Result<std::optional<host::SecretKey>> key_of(const App& app, std::string_view word) {
  if (!app.agent.has(word)) return std::optional<host::SecretKey>();
  const Settings s = app.agent.map(word);
  std::string source = s.text("key_file");
  if (!source.starts_with("credential:") && !source.empty() && source[0] != '/') {
    source = app.folder + "/" + source;
  }
  const Result<host::SecretKey> key = host::load_secret_key(source);
  if (!key.ok()) return Error{key.error().code, s.error("key_file", key.error().message).message};
  return std::optional<host::SecretKey>(*key);
}

}  // namespace

Result<std::optional<host::SecretKey>> storage_key(const App& app) {
  return key_of(app, "encryption");
}

Result<std::optional<host::SecretKey>> hashing_key(const App& app) {
  EW_TRY(const std::optional<host::SecretKey> key, key_of(app, "hashing"));
  if (key) EW_TRY_VOID(host::sodium());
  return key;
}

Result<std::vector<StoredFile>> stored_files(const App& app) {
  std::vector<StoredFile> out;
  if (app.state.empty() || !is_directory(app.state)) return out;
  EW_TRY_VOID(collect(app.state, 0, false, out));
  return out;
}

Status erase_stored(const App& app, const std::vector<StoredFile>& stored) {
  host::FileSystem& files = host::real_file_system();
  if (app.state.empty() || !is_directory(app.state)) return {};
  const auto lock = files.lock(app.state + "/lock");
  if (!lock.ok()) {
    return invalid_argument(app.state, ": an agent is running; stop it first (",
                            lock.error().message, ")");
  }
  for (const StoredFile& file : stored) EW_TRY_VOID(files.remove(file.path));
  EW_TRY_VOID(files.remove(app.state + "/lock"));
  // Deepest first; a folder with other people's files stays.
  std::vector<std::string> folders = {app.state};
  for (const StoredFile& file : stored) {
    std::string folder = file.path.substr(0, file.path.rfind('/'));
    while (folder.size() > app.state.size()) {
      folders.push_back(folder);
      folder.resize(folder.rfind('/'));
    }
  }
  std::ranges::sort(folders, std::greater(), &std::string::size);
  for (const std::string& folder : folders) ::rmdir(folder.c_str());
  return {};
}

Status give_up_removed_sinks(const App& app, Ledger& ledger) {
  for (uint32_t number = 0; number < ledger.size(); ++number) {
    const LedgerRow row = ledger.named(number);
    if (row.kind != LedgerKind::kSink) continue;
    const std::string name(row.first());
    if (std::ranges::find(app.sinks, name, &SinkPlan::name) != app.sinks.end()) continue;
    ledger.drop(number, row.queued(), DropReason::kReconfigured);
    if (app.state.empty() || name.find('/') != std::string::npos) continue;
    for (const char* lane : {"-alerts", "-telemetry"}) {
      const std::string path = app.state + "/queue/" + name + lane;
      EW_TRY_VOID(remove_folder_of_log(path));
      EW_TRY_VOID(host::real_file_system().remove(path + ".cursor"));
    }
  }
  return {};
}

std::string file_stamp(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return "";
  return str(info.st_ino, " ", info.st_size, " ", info.st_mtim.tv_sec, " ", info.st_mtim.tv_nsec);
}

}  // namespace ew::agent
