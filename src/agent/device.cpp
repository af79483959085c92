#include "agent/device.h"

#include "agent/http_target.h"
#include "agent/mqtt_settings.h"
#include "base/file.h"

namespace ew::agent {
namespace {

using K = WordKind;

constexpr WordDef kHttpOwnWords[] = {
    {.name = "every",
     .kind = K::kDuration,
     .help = "how often the bundle is asked for, up to an eighth more; unchanged ones are not sent "
             "again",
     .fallback = "1h",
     .min = 0.05,
     .max = 30.0 * 86400}};
constexpr auto kHttpWords = with_http_target(kHttpOwnWords);

constexpr WordDef kMqttOwnWords[] = {
    {.name = "topic",
     .help = "whose messages are bundles; a retained one comes at each connection",
     .is_required = true}};
constexpr auto kMqttWords = with_mqtt_connection(kMqttOwnWords);

constexpr WordDef kPullWords[] = {
    {.name = "http", .kind = K::kMap, .help = "asks a server for bundles", .words = kHttpWords},
    {.name = "mqtt",
     .kind = K::kMap,
     .help = "takes bundles from an MQTT server",
     .words = kMqttWords}};

constexpr WordDef kDeviceWords[] = {
    {.name = "trusted_keys",
     .kind = K::kTexts,
     .help = "public keys (Ed25519, PEM); a bundle must be signed by one of them",
     .is_required = true},
    {.name = "target", .help = "class of this device; without it only bundles for any are taken"},
    {.name = "max_size",
     .kind = K::kSize,
     .help = "larger bundles are refused",
     .fallback = "64M",
     .min = 1 << 16,
     .max = 1e12},
    {.name = "pull", .kind = K::kMap, .help = "where new bundles come from", .words = kPullWords}};

}  // namespace

std::span<const WordDef> device_words() { return kDeviceWords; }

Result<Device> load_device(const std::string& folder) {
  const std::string path = folder + "/" + kDeviceFile;
  if (!file_exists(path)) {
    return make_error(ErrorCode::kNotFound, path,
                      ": there is no such file; edgewise bundle init makes one");
  }
  EW_TRY(host::YamlNode root, host::load_yaml(path));
  if (!root.is_map()) {
    return root.error(str("expected a map with the word trusted_keys, found ", root.kind_name()));
  }
  Device device;
  device.folder = folder;
  device.document = std::make_shared<const host::YamlNode>(std::move(root));
  std::vector<Error> errors;
  check_words(*device.document, kDeviceWords, errors);
  device.settings = Settings(device.document.get(), kDeviceWords);
  if (errors.empty()) {
    for (const std::string& name : device.settings.texts("trusted_keys")) {
      const auto key = host::load_public_key(name.starts_with('/') ? name : folder + "/" + name);
      if (key.ok()) {
        device.trusted.push_back(*key);
      } else {
        errors.push_back(device.settings.error("trusted_keys", key.error().message));
      }
    }
    if (device.settings.texts("trusted_keys").empty()) {
      errors.push_back(device.settings.error("trusted_keys", "expected at least one"));
    }
  }
  if (!errors.empty()) {
    Error all = errors[0];
    for (size_t i = 1; i < errors.size(); ++i) all.message += "\n" + errors[i].message;
    return all;
  }
  device.target = device.settings.text("target");
  device.max_bytes = static_cast<uint64_t>(device.settings.size("max_size"));
  return device;
}

}  // namespace ew::agent
