#include "api/ew_signing.h"

#include <memory>

#include "host/signature.h"

namespace ew::api {

Result<ir::Signer> signer_of(const std::string& key_file) {
  EW_TRY(host::SigningKey key, host::SigningKey::load(key_file));
  const auto shared = std::make_shared<host::SigningKey>(std::move(key));
  return ir::Signer([shared](std::span<const uint8_t> message) -> Result<ir::EwSignature> {
    return ir::EwSignature{shared->public_key(), shared->sign(message)};
  });
}

Result<ir::Verifier> verifier_of(const std::string& key_file) {
  EW_TRY(const host::PublicKey key, host::load_public_key(key_file));
  return ir::Verifier([key, key_file](std::span<const uint8_t> message,
                                      const ir::EwSignature* signature) -> Status {
    if (signature == nullptr) {
      return invalid_data("expected a signature by ", key_file, ", found none");
    }
    if (signature->public_key != key) {
      return invalid_data("expected a signature by ", key_file, ", found one by another key");
    }
    return host::verify_signature(key, message, signature->signature);
  });
}

}  // namespace ew::api
