#pragma once
// The folder of a device that runs bundles: the version that runs, the one before it, and a small
// record that says which is which. The record is replaced as a whole, so that whatever happens,
// either the old version or the whole new one runs (docs/design/0030-bundles.md).

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/bundle.h"

namespace ew::agent {

struct Slot {
  uint64_t version = 0;  ///< 0: none
  std::string app;       ///< path of the app file in the slot's folder
};

/// What the record says. Text, with a checksum in its last line.
struct SlotRecord {
  std::string name;      ///< of the app; "" before the first bundle
  uint64_t highest = 0;  ///< version ever accepted; lower ones and it itself are refused
  Slot active;
  Slot earlier;
  bool is_trial = false;    ///< active has not come through its health window yet
  uint32_t starts = 0;      ///< in the trial
  uint32_t max_starts = 0;  ///< before the trial is given up
  std::string note;         ///< why a version was left, in one line; "" for none
};

/// The record as its file has it, and back. Error kInvalidData for a damaged one.
std::string slots_text(const SlotRecord& record);
Result<SlotRecord> parse_slots(std::string_view text);

/// The record of a folder; an empty one if there is none yet. Errors: kInvalidData for a damaged
/// one; kIo.
Result<SlotRecord> read_slots(host::FileSystem& files, const std::string& folder);

std::string slot_folder(const std::string& folder, uint64_t version);
/// The app file of a slot.
std::string slot_app(const std::string& folder, const Slot& slot);

struct ApplyOptions {
  std::vector<host::PublicKey> trusted;
  std::string target;      ///< class of this device; "" takes only bundles for any
  int64_t now_s = 0;       ///< since 1970
  uint64_t max_bytes = 0;  ///< of all files together
  /// Checks the app that was unpacked; returns how often a trial of it may start.
  std::function<Result<uint32_t>(const std::string& app_file)> check;
};

/// Verifies a bundle, unpacks it beside the others, and makes it the active version, on trial. With
/// an error nothing is changed. Errors: kInvalidData (damaged, not by a trusted key, for another
/// target or app, expired, not above the highest version), kResourceLimit, kIo, those of check();
/// kIo if another process changes the folder for longer than ten seconds.
Result<BundleManifest> apply_bundle(host::FileSystem& files, const std::string& folder,
                                    const host::File& bundle, const ApplyOptions& options);

/// To be called before the active version is started. Counts starts of a trial; one start too many
/// returns to the earlier version first. Returns the record as it is then.
Result<SlotRecord> begin_start(host::FileSystem& files, const std::string& folder);
/// A start that ended because it was told to, not by its own fault.
Status forget_start(host::FileSystem& files, const std::string& folder, uint64_t version);
/// The trial of `version` has passed. Error kIo at once if another process changes the folder.
Status accept_trial(host::FileSystem& files, const std::string& folder, uint64_t version);
/// Ends the trial of `version`: the earlier version is active again, the failed one is removed.
/// False if there is no trial of it or no earlier version.
Result<bool> give_up_trial(host::FileSystem& files, const std::string& folder, uint64_t version,
                           const std::string& why);
/// Makes the earlier version active, and the active one the earlier, as an operator asks.
/// Error kNotFound without an earlier version.
Result<SlotRecord> return_to_earlier(host::FileSystem& files, const std::string& folder);

}  // namespace ew::agent
