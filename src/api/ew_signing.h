#pragma once
// Ed25519 keys of `.ew` files, as `openssl genpkey -algorithm ed25519` writes them.

#include <string>

#include "ir/ew/ew_file.h"

namespace ew::api {

/// Signs with the private key in a PEM file (PKCS #8, RFC 8410). Errors: those of read_file();
/// kInvalidData for another file; kNotFound without the plug-in that holds libsodium.
Result<ir::Signer> signer_of(const std::string& key_file);

/// Accepts only what the key in a PEM file (SubjectPublicKeyInfo, RFC 8410) has signed. Errors as
/// above; the verifier's own are kInvalidData.
Result<ir::Verifier> verifier_of(const std::string& key_file);

}  // namespace ew::api
