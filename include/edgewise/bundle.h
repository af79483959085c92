#pragma once
// Signed bundles: an app with its models in one file, and devices that take them
// (docs/guide/bundles.md).

#include <cstdint>
#include <string>
#include <vector>

#include "edgewise/agent.h"
#include "edgewise/result.h"

namespace ew {

struct BundleSource {
  std::string app;  ///< the app file; models and labels that it names come along
  std::vector<std::string> include = {};  ///< further files, in the app file's folder or below
  uint64_t version = 0;                   ///< at least 1, higher than all before
  std::string target = "";                ///< class of device; "" for any
  int64_t valid_for_s = 0;                ///< can be applied for so long; 0: for ever
  std::string key;                        ///< Ed25519 private key (PEM)
};

struct BundleInfo {
  struct File {
    std::string path;
    uint64_t bytes = 0;
    std::string sha256;  ///< hexadecimal
  };
  std::string name;
  uint64_t version = 0;
  int64_t created_s = 0;  ///< since 1970
  int64_t expires_s = 0;  ///< 0: never
  std::string target;
  std::string app;
  std::string signer;  ///< public key, hexadecimal
  uint64_t bytes = 0;  ///< of the bundle
  std::vector<File> files;
};

/// Checks the app as check_app() does, and writes the bundle. Errors: kInvalidData with the app's
/// faults; kInvalidArgument; kNotFound; kIo.
Result<BundleInfo> create_bundle(const BundleSource& source, const std::string& out);

/// What a bundle says of itself; with `trusted_key` (PEM) also whether that key signed it, and
/// whether the content of all files is what was signed. Errors: kInvalidData, kNotFound, kIo.
Result<BundleInfo> read_bundle(const std::string& path, const std::string& trusted_key = "");

/// Makes `folder` the home of a device that trusts `key` (PEM, copied) and takes bundles for
/// `target`. Error kInvalidArgument if it is one already.
Result<void> init_device(const std::string& folder, const std::string& key,
                         const std::string& target);

/// Verifies a bundle, unpacks it, checks its app, and makes it the version that runs: at the next
/// start, or at once where an agent runs. Errors leave everything as it was.
Result<BundleInfo> apply_bundle(const std::string& path, const std::string& folder);

struct DeviceStatus {
  std::string name;       ///< of the app; "" before the first bundle
  uint64_t active = 0;    ///< version; 0: none
  uint64_t earlier = 0;   ///< to which rollback_device() returns; 0: none
  uint64_t highest = 0;   ///< ever accepted
  bool is_trial = false;  ///< active has not come through its health window yet
  uint32_t trial_starts = 0;
  std::string note;  ///< why a version was left; "" for none
};
Result<DeviceStatus> device_status(const std::string& folder);

/// Back to the earlier version; the active one becomes the earlier. Error kNotFound without one.
Result<DeviceStatus> rollback_device(const std::string& folder);

/// Runs a device's active version as run_app() does; new versions take over while it runs. One that
/// does not start, crashes, or does badly in its health window is left for the one before it.
Result<void> run_device(const std::string& folder, const AgentOptions& options = {});

/// The JSON Schema of device files.
std::string device_schema();

}  // namespace ew
