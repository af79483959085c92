#pragma once
// Signed bundles for tests.

#include <string>
#include <vector>

#include "agent/bundle.h"
#include "testing/temporary_folder.h"

namespace ew::testing {

/// A key pair (RFC 8032, section 7.1, TEST 1) and bundles by it.
class TestBundle {
 public:
  TestBundle() {
    const std::string text =
        "-----BEGIN PRIVATE KEY-----\n"
        "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
        "-----END PRIVATE KEY-----\n";
    (void)host::replace_file(host::real_file_system(), folder_.path("key"), host::as_bytes(text));
  }

  host::SigningKey key() const { return host::SigningKey::load(folder_.path("key")).value(); }
  host::PublicKey public_key() const { return key().public_key(); }

  /// Of three files; sizes and hashes are set by bundle().
  static agent::BundleManifest manifest(uint64_t version) {
    agent::BundleManifest m;
    m.name = "pump";
    m.version = version;
    m.app = "app.yaml";
    m.files = {{.path = "app.yaml"}, {.path = "models/m.ew"}, {.path = "notes.txt"}};
    return m;
  }

  std::vector<uint8_t> bundle(agent::BundleManifest m,
                              const std::vector<std::string>& contents) const {
    for (size_t i = 0; i < m.files.size(); ++i) {
      host::Sha256 hash = host::Sha256::create().value();
      hash.update(host::as_bytes(contents[i]));
      m.files[i].bytes = contents[i].size();
      m.files[i].sha256 = hash.finish();
    }
    std::vector<uint8_t> bytes = agent::encode_bundle_head(m, key()).value();
    for (const std::string& content : contents) {
      bytes.insert(bytes.end(), content.begin(), content.end());
    }
    return bytes;
  }

  std::vector<uint8_t> bundle(uint64_t version) const {
    return bundle(manifest(version), {str("app of ", version), str("model of ", version), ""});
  }

 private:
  TemporaryFolder folder_;
};

}  // namespace ew::testing
