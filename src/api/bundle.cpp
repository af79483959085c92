#include "agent/bundle.h"

#include <algorithm>

#include "agent/device.h"
#include "api/app_file.h"
#include "api/device.h"
#include "base/clock.h"
#include "base/file.h"
#include "edgewise/bundle.h"

namespace ew {
namespace {

using host::Bytes;

constexpr size_t kPiece = size_t{256} << 10;

BundleInfo info_of(const agent::BundleHead& head) {
  const agent::BundleManifest& m = head.manifest;
  BundleInfo info{.name = m.name,
                  .version = m.version,
                  .created_s = m.created_s,
                  .expires_s = m.expires_s,
                  .target = m.target,
                  .app = m.app,
                  .signer = host::hex_text(head.signer),
                  .bytes = head.head.size(),
                  .files = {}};
  for (const agent::BundleFile& file : m.files) {
    info.files.push_back({file.path, file.bytes, host::hex_text(file.sha256)});
    info.bytes += file.bytes;
  }
  return info;
}

/// Calls take(piece) for the whole content.
template <typename Take>
Status read_pieces(const std::string& path, Take take) {
  EW_TRY(const auto file, host::real_file_system().open(path, host::OpenMode::kRead));
  std::vector<uint8_t> buffer(kPiece);
  for (uint64_t at = 0;;) {
    EW_TRY(const size_t read, file->pread(at, buffer));
    if (read == 0) return {};
    EW_TRY_VOID(take(Bytes(buffer).first(read)));
    at += read;
  }
}

/// The paths of all files of the app, from its folder.
Result<std::vector<std::string>> files_of(const agent::App& app, const BundleSource& source) {
  std::vector<std::string> files = {app.file.substr(app.file.rfind('/') + 1)};
  const auto add = [&](std::string path) -> Status {
    path = path.substr(0, path.find('#'));
    if (path.empty()) return {};
    if (path.starts_with(app.folder + "/")) path.erase(0, app.folder.size() + 1);
    if (!agent::is_bundle_path(path)) {
      return invalid_argument(path,
                              ": a bundle holds files of the app file's folder and below, of "
                              "letters, digits, '.', '_' and '-'");
    }
    if (std::ranges::find(files, path) == files.end()) files.push_back(path);
    return {};
  };
  for (const agent::ModelPlan& model : app.models) {
    EW_TRY_VOID(add(model.file));
    EW_TRY_VOID(add(model.labels));
    EW_TRY_VOID(add(model.shadow));
  }
  for (const std::string& path : source.include) EW_TRY_VOID(add(path));
  return files;
}

Status write_bundle(const agent::BundleHead& head, const std::string& folder,
                    const std::string& path) {
  host::FileSystem& files = host::real_file_system();
  EW_TRY(const auto out, files.open(path, host::OpenMode::kCreate));
  const Bytes front(head.head);
  EW_TRY_VOID(out->append(std::span(&front, 1)));
  for (const agent::BundleFile& file : head.manifest.files) {
    EW_TRY(host::Sha256 hash, host::Sha256::create());
    EW_TRY_VOID(read_pieces(folder + "/" + file.path, [&](Bytes piece) {
      hash.update(piece);
      return out->append(std::span(&piece, 1));
    }));
    if (hash.finish() != file.sha256) {
      return make_error(ErrorCode::kIo, folder, "/", file.path, ": changed while it was read");
    }
  }
  return out->sync_data();
}

DeviceStatus status_of(const agent::SlotRecord& record) {
  return {.name = record.name,
          .active = record.active.version,
          .earlier = record.earlier.version,
          .highest = record.highest,
          .is_trial = record.is_trial,
          .trial_starts = record.starts,
          .note = record.note};
}

}  // namespace

Result<BundleInfo> create_bundle(const BundleSource& source, const std::string& out) {
  EW_TRY(const host::SigningKey key, host::SigningKey::load(source.key));
  EW_TRY(const auto app, api::load_app_or_fail(source.app, {}));
  const std::vector<Error> faults = api::faults_of(*app);
  if (!faults.empty()) return api::joined(faults);
  EW_TRY(const auto paths, files_of(*app, source));
  agent::BundleManifest manifest{.name = app->name,
                                 .version = source.version,
                                 .created_s = system_clock_us() / 1'000'000,
                                 .expires_s = 0,
                                 .target = source.target,
                                 .app = paths[0],
                                 .files = {}};
  if (source.valid_for_s > 0) manifest.expires_s = manifest.created_s + source.valid_for_s;
  for (const std::string& path : paths) {
    agent::BundleFile file{.path = path, .bytes = 0, .sha256 = {}};
    EW_TRY(host::Sha256 hash, host::Sha256::create());
    EW_TRY_VOID(read_pieces(app->folder + "/" + path, [&](Bytes piece) -> Status {
      hash.update(piece);
      file.bytes += piece.size();
      return {};
    }));
    file.sha256 = hash.finish();
    manifest.files.push_back(std::move(file));
  }
  agent::BundleHead head;
  EW_TRY(head.head, agent::encode_bundle_head(manifest, key));
  head.manifest = std::move(manifest);
  head.signer = key.public_key();
  const std::string temporary = temporary_name(out);
  const Status written = write_bundle(head, app->folder, temporary);
  if (!written.ok()) {
    [[maybe_unused]] const Status removed = host::real_file_system().remove(temporary);
    return written.error();
  }
  EW_TRY_VOID(commit_file(temporary, out));
  return info_of(head);
}

Result<BundleInfo> read_bundle(const std::string& path, const std::string& trusted_key) {
  const auto read = [&]() -> Result<BundleInfo> {
    EW_TRY(const auto file, host::real_file_system().open(path, host::OpenMode::kRead));
    EW_TRY(const agent::BundleHead head, agent::read_bundle_head(*file));
    if (trusted_key.empty()) return info_of(head);
    EW_TRY(const host::PublicKey key, host::load_public_key(trusted_key));
    EW_TRY_VOID(agent::verify_bundle(head, {key}));
    EW_TRY_VOID(
        agent::read_bundle_files(*file, head, [](const auto&, Bytes) -> Status { return {}; }));
    return info_of(head);
  };
  Result<BundleInfo> info = read();
  return info.ok() || info.error().message.starts_with(path) ? info : at(path, info.error());
}

Result<void> init_device(const std::string& folder, const std::string& key,
                         const std::string& target) {
  constexpr const char* kKeyFile = "trusted.pem";
  EW_TRY([[maybe_unused]] const host::PublicKey known, host::load_public_key(key));
  EW_TRY(const auto text, read_file(key));
  const std::string path = folder + "/" + agent::kDeviceFile;
  if (file_exists(path)) return invalid_argument(path, ": is there already; edit it instead");
  host::FileSystem& files = host::real_file_system();
  EW_TRY_VOID(files.make_directory(folder));
  EW_TRY_VOID(host::replace_file(files, folder + "/" + kKeyFile, text));
  std::string device = str("# What this device trusts and is; no bundle changes it.\n",
                           "trusted_keys: [", kKeyFile, "]\n");
  if (!target.empty()) device += str("target: ", target, "\n");
  return host::replace_file(files, path, host::as_bytes(device));
}

Result<BundleInfo> apply_bundle(const std::string& path, const std::string& folder) {
  EW_TRY(const agent::Device device, agent::load_device(folder));
  EW_TRY(const auto file, host::real_file_system().open(path, host::OpenMode::kRead));
  EW_TRY(const agent::BundleHead head, agent::read_bundle_head(*file));
  const auto done = api::apply_to_device(device, *file);
  if (!done.ok()) return at(path, done.error());
  return info_of(head);
}

Result<DeviceStatus> device_status(const std::string& folder) {
  EW_TRY([[maybe_unused]] const agent::Device device, agent::load_device(folder));
  EW_TRY(const auto record, agent::read_slots(host::real_file_system(), folder));
  return status_of(record);
}

Result<DeviceStatus> rollback_device(const std::string& folder) {
  EW_TRY([[maybe_unused]] const agent::Device device, agent::load_device(folder));
  EW_TRY(const auto record, agent::return_to_earlier(host::real_file_system(), folder));
  return status_of(record);
}

}  // namespace ew
