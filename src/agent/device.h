#pragma once
// `device.yaml`, in the folder of a device that runs bundles: whom it trusts, what it is, and where
// new bundles come from. It belongs to the device; no bundle changes it.

#include <memory>
#include <string>
#include <vector>

#include "agent/settings.h"
#include "agent/slots.h"

namespace ew::agent {

struct Device {
  std::string folder;
  std::shared_ptr<const host::YamlNode> document;
  Settings settings{nullptr, {}};
  std::vector<host::PublicKey> trusted;
  std::string target;
  uint64_t max_bytes = 0;
};

inline constexpr const char* kDeviceFile = "device.yaml";

std::span<const WordDef> device_words();

/// Reads FOLDER/device.yaml and the keys it names. Errors: kNotFound with what to do; kInvalidData
/// with every fault, one a line.
Result<Device> load_device(const std::string& folder);

/// The JSON Schema of device files, from the same tables.
std::string device_schema();

}  // namespace ew::agent
