#include "agent/slots.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <set>
#include <thread>

#include "base/crc32c.h"

namespace ew::agent {
namespace {

constexpr const char* kTitle = "edgewise slots 1";
constexpr auto kLockPatience = std::chrono::seconds(10);
constexpr auto kLockPause = std::chrono::milliseconds(20);
constexpr size_t kMaxNote = 300;

std::string record_path(const std::string& folder) { return folder + "/record"; }
std::string slots_path(const std::string& folder) { return folder + "/slots"; }

std::string checksum_line(std::string_view text) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string out = "check ";
  const uint32_t crc = crc32c(host::as_bytes(text));
  for (int shift = 28; shift >= 0; shift -= 4) out += kDigits[crc >> shift & 15];
  return out + "\n";
}

template <typename Number>
bool read_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool read_line(std::string_view line, SlotRecord& r) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return false;
  const std::string_view word = line.substr(0, space);
  const std::string_view rest = line.substr(space + 1);
  const size_t second = std::min(rest.find(' '), rest.size());
  const std::string_view first = rest.substr(0, second);
  const std::string_view last = second < rest.size() ? rest.substr(second + 1) : "";
  if (word == "name") r.name = rest;
  if (word == "note") r.note = rest;
  if (word == "highest") return read_number(rest, r.highest);
  if (word == "trial") {
    r.is_trial = true;
    return read_number(first, r.starts) && read_number(last, r.max_starts);
  }
  if (word == "active" || word == "earlier") {
    Slot& slot = word == "active" ? r.active : r.earlier;
    slot.app = last;
    return read_number(first, slot.version) && is_bundle_path(slot.app);
  }
  return true;
}

Status write_record(host::FileSystem& files, const std::string& folder, const SlotRecord& record) {
  return host::replace_file(files, record_path(folder), host::as_bytes(slots_text(record)));
}

/// Others hold the lock only for as long as one bundle is unpacked.
Result<std::unique_ptr<host::FileLock>> lock_slots(host::FileSystem& files,
                                                   const std::string& folder,
                                                   std::chrono::seconds patience = kLockPatience) {
  EW_TRY_VOID(files.make_directory(slots_path(folder)));
  const auto end = std::chrono::steady_clock::now() + patience;
  while (true) {
    auto lock = files.lock(folder + "/lock");
    if (lock.ok() || std::chrono::steady_clock::now() >= end) return lock;
    std::this_thread::sleep_for(kLockPause);
  }
}

/// Removes what the record does not name: what a killed process left, and versions that are gone.
void clean(host::FileSystem& files, const std::string& folder, const SlotRecord& record) {
  const auto names = files.list(slots_path(folder));
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (name == std::to_string(record.active.version)) continue;
    if (name == std::to_string(record.earlier.version)) continue;
    // What cannot be removed now is tried again with the next bundle.
    [[maybe_unused]] const Status removed = files.remove_tree(slots_path(folder) + "/" + name);
  }
}

/// Reads, changes and writes the record under the lock; change() returns whether it did.
template <typename Change>
Result<SlotRecord> update(host::FileSystem& files, const std::string& folder, Change change,
                          std::chrono::seconds patience = kLockPatience) {
  EW_TRY([[maybe_unused]] const auto lock, lock_slots(files, folder, patience));
  EW_TRY(SlotRecord record, read_slots(files, folder));
  if (change(record)) {
    EW_TRY_VOID(write_record(files, folder, record));
    clean(files, folder, record);
  }
  return record;
}

void give_up(SlotRecord& record, const std::string& why) {
  record.note = str("version ", record.active.version, " was given up: ", why);
  record.active = record.earlier;
  record.earlier = {};
  record.is_trial = false;
}

Status check_manifest(const BundleManifest& m, const SlotRecord& record,
                      const ApplyOptions& options) {
  if (!m.target.empty() && m.target != options.target) {
    return invalid_data("made for the target '", m.target, "', this device is '", options.target,
                        "'");
  }
  if (m.expires_s != 0 && options.now_s >= m.expires_s) {
    return invalid_data("expired ", options.now_s - m.expires_s, " seconds ago");
  }
  if (!record.name.empty() && m.name != record.name) {
    return invalid_data("holds the app '", m.name, "', this folder runs '", record.name, "'");
  }
  if (m.version <= record.highest) {
    return invalid_data("version ", m.version, " is not above ", record.highest,
                        ", the highest that was accepted here; make the bundle again with a "
                        "higher --version");
  }
  uint64_t total = 0;
  for (const BundleFile& file : m.files) total += file.bytes;
  if (total > options.max_bytes) {
    return make_error(ErrorCode::kResourceLimit, total, " bytes, above the limit of ",
                      options.max_bytes, " (max_size)");
  }
  return {};
}

/// All files of the bundle below `target`, safe from a loss of power.
Status unpack(host::FileSystem& files, const host::File& bundle, const BundleHead& head,
              const std::string& target) {
  EW_TRY_VOID(files.remove_tree(target));
  EW_TRY_VOID(files.make_directory(target));
  std::set<std::string> folders = {target};
  const BundleFile* open_file = nullptr;
  std::unique_ptr<host::File> out;
  const auto take = [&](const BundleFile& file, host::Bytes piece) -> Status {
    if (&file != open_file) {
      if (out) EW_TRY_VOID(out->sync_data());
      const std::string path = target + "/" + file.path;
      const std::string parent = path.substr(0, path.rfind('/'));
      EW_TRY_VOID(files.make_directory(parent));
      folders.insert(parent);
      EW_TRY(out, files.open(path, host::OpenMode::kCreate));
      open_file = &file;
    }
    return out->append(std::span(&piece, 1));
  };
  EW_TRY_VOID(read_bundle_files(bundle, head, take));
  if (out) EW_TRY_VOID(out->sync_data());
  for (const std::string& folder : folders) EW_TRY_VOID(files.sync_directory(folder));
  return {};
}

}  // namespace

std::string slot_folder(const std::string& folder, uint64_t version) {
  return str(slots_path(folder), "/", version);
}

std::string slot_app(const std::string& folder, const Slot& slot) {
  return slot_folder(folder, slot.version) + "/" + slot.app;
}

std::string slots_text(const SlotRecord& r) {
  std::string out = str(kTitle, "\nname ", r.name, "\nhighest ", r.highest, "\n");
  const auto slot = [&](const char* word, const Slot& s) {
    if (s.version != 0) out += str(word, " ", s.version, " ", s.app, "\n");
  };
  slot("active", r.active);
  slot("earlier", r.earlier);
  if (r.is_trial) out += str("trial ", r.starts, " ", r.max_starts, "\n");
  if (!r.note.empty()) {
    std::string note = r.note.substr(0, kMaxNote);
    std::ranges::replace(note, '\n', ' ');
    out += "note " + note + "\n";
  }
  return out + checksum_line(out);
}

Result<SlotRecord> parse_slots(std::string_view text) {
  const size_t check = text.rfind("check ");
  SlotRecord record;
  bool is_right = text.starts_with(kTitle) && check != std::string_view::npos &&
                  text.substr(check) == checksum_line(text.substr(0, check));
  if (is_right) {
    const std::vector<std::string> lines = split(text.substr(0, check), '\n');
    for (size_t i = 1; i + 1 < lines.size(); ++i) {
      is_right = is_right && read_line(lines[i], record);
    }
  }
  if (is_right) return record;
  return invalid_data(
      "damaged. It keeps the highest version that was accepted; restore it from a backup, or set "
      "the device up anew in an empty folder");
}

Result<SlotRecord> read_slots(host::FileSystem& files, const std::string& folder) {
  const auto bytes = host::read_whole_file(files, record_path(folder), 1 << 16);
  if (!bytes.ok() && bytes.error().code == ErrorCode::kNotFound) return SlotRecord{};
  if (!bytes.ok()) return bytes.error();
  Result<SlotRecord> record = parse_slots(host::as_text(*bytes));
  return record.ok() ? record : at(record_path(folder), record.error());
}

Result<BundleManifest> apply_bundle(host::FileSystem& files, const std::string& folder,
                                    const host::File& bundle, const ApplyOptions& options) {
  EW_TRY(const BundleHead head, read_bundle_head(bundle));
  EW_TRY_VOID(verify_bundle(head, options.trusted));
  EW_TRY([[maybe_unused]] const auto lock, lock_slots(files, folder));
  EW_TRY(SlotRecord record, read_slots(files, folder));
  const BundleManifest& manifest = head.manifest;
  EW_TRY_VOID(check_manifest(manifest, record, options));
  // Nothing names this folder before the record does.
  const std::string target = slot_folder(folder, manifest.version);
  const auto prepare = [&]() -> Result<uint32_t> {
    EW_TRY_VOID(unpack(files, bundle, head, target));
    EW_TRY_VOID(files.sync_directory(slots_path(folder)));
    return options.check(target + "/" + manifest.app);
  };
  const Result<uint32_t> max_starts = prepare();
  if (!max_starts.ok()) {
    [[maybe_unused]] const Status removed = files.remove_tree(target);
    return max_starts.error();
  }
  // A trial that has not passed yet is no version to return to.
  if (!record.is_trial) record.earlier = record.active;
  record.active = {manifest.version, manifest.app};
  record.name = manifest.name;
  record.highest = manifest.version;
  record.is_trial = true;
  record.starts = 0;
  record.max_starts = *max_starts;
  record.note.clear();
  EW_TRY_VOID(write_record(files, folder, record));
  clean(files, folder, record);
  return manifest;
}

Result<SlotRecord> begin_start(host::FileSystem& files, const std::string& folder) {
  return update(files, folder, [](SlotRecord& record) {
    // Without an earlier version there is nothing better to start.
    if (!record.is_trial || record.earlier.version == 0) return false;
    if (record.starts >= record.max_starts) {
      give_up(record, str("it ended ", record.starts, " times before its health window was over"));
    } else {
      ++record.starts;
    }
    return true;
  });
}

Status forget_start(host::FileSystem& files, const std::string& folder, uint64_t version) {
  EW_TRY([[maybe_unused]] const auto record, update(files, folder, [&](SlotRecord& r) {
           if (!r.is_trial || r.active.version != version || r.starts == 0) return false;
           --r.starts;
           return true;
         }));
  return {};
}

Status accept_trial(host::FileSystem& files, const std::string& folder, uint64_t version) {
  const auto accept = [&](SlotRecord& r) {
    if (!r.is_trial || r.active.version != version) return false;
    r.is_trial = false;
    r.starts = 0;
    return true;
  };
  EW_TRY([[maybe_unused]] const auto record,
         update(files, folder, accept, std::chrono::seconds(0)));
  return {};
}

Result<bool> give_up_trial(host::FileSystem& files, const std::string& folder, uint64_t version,
                           const std::string& why) {
  bool is_given_up = false;
  EW_TRY([[maybe_unused]] const auto record, update(files, folder, [&](SlotRecord& r) {
           if (!r.is_trial || r.active.version != version || r.earlier.version == 0) return false;
           give_up(r, why);
           is_given_up = true;
           return true;
         }));
  return is_given_up;
}

Result<SlotRecord> return_to_earlier(host::FileSystem& files, const std::string& folder) {
  bool is_done = false;
  EW_TRY(const SlotRecord record, update(files, folder, [&](SlotRecord& r) {
           if (r.earlier.version == 0) return false;
           r.note = str("version ", r.active.version, " was left by an operator");
           std::swap(r.active, r.earlier);
           r.is_trial = false;
           is_done = true;
           return true;
         }));
  if (!is_done) {
    return make_error(ErrorCode::kNotFound, folder, ": keeps no earlier version to return to");
  }
  return record;
}

}  // namespace ew::agent
