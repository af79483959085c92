#pragma once
// Keys of 32 bytes for encryption at rest, and where they come from.

#include <array>
#include <cstdint>
#include <string>

#include "base/result.h"

namespace ew::host {

using SecretKey = std::array<uint8_t, 32>;

/// A key from a file of 32 raw bytes or 64 hexadecimal digits. `source` is a path, or
/// "credential:NAME" for $CREDENTIALS_DIRECTORY/NAME as systemd's LoadCredential= makes it. A key
/// sealed by a TPM comes the same way: `systemd-creds encrypt --with-key=tpm2` with
/// LoadCredentialEncrypted=.
/// Errors: kNotFound; kInvalidData for another size; kInvalidArgument if others than the owner may
/// read the file, or there is no credential folder.
Result<SecretKey> load_secret_key(const std::string& source);

}  // namespace ew::host
