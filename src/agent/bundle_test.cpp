#include "agent/bundle.h"

#include <doctest/doctest.h>

#include "testing/bundles.h"

namespace ew::agent {
namespace {

using testing::TestBundle;

Result<BundleHead> parse(const std::vector<uint8_t>& bytes) {
  return parse_bundle_head(bytes, bytes.size());
}

Status read_all(const std::vector<uint8_t>& bytes, const BundleHead& head) {
  return read_bundle_files(MemoryFile(bytes), head,
                           [](const BundleFile&, host::Bytes) -> Status { return {}; });
}

TEST_CASE("bundle: what was written is read back") {
  const TestBundle key;
  BundleManifest manifest = key.manifest(7);
  manifest.created_s = 1'700'000'000;
  manifest.expires_s = 1'800'000'000;
  manifest.target = "gateway";
  const auto bytes = key.bundle(manifest, {"app: pump\n", std::string(300'000, 'm'), ""});
  const BundleHead head = parse(bytes).value();
  CHECK(head.manifest.name == "pump");
  CHECK(head.manifest.version == 7);
  CHECK(head.manifest.created_s == 1'700'000'000);
  CHECK(head.manifest.expires_s == 1'800'000'000);
  CHECK(head.manifest.target == "gateway");
  CHECK(head.manifest.app == "app.yaml");
  REQUIRE(head.manifest.files.size() == 3);
  CHECK(head.manifest.files[1].path == "models/m.ew");
  CHECK(head.manifest.files[1].bytes == 300'000);
  CHECK(verify_bundle(head, {key.public_key()}).ok());
  std::vector<std::string> content(3);
  const auto take = [&](const BundleFile& file, host::Bytes piece) -> Status {
    content[static_cast<size_t>(&file - head.manifest.files.data())] += host::as_text(piece);
    return {};
  };
  REQUIRE(read_bundle_files(MemoryFile(bytes), head, take).ok());
  CHECK(content[0] == "app: pump\n");
  CHECK(content[1] == std::string(300'000, 'm'));
  CHECK(content[2].empty());
}

TEST_CASE("bundle: every changed byte is found by head, signature or content") {
  const TestBundle key;
  const auto bytes = key.bundle(key.manifest(1), {"app: pump\n", "model", "x"});
  for (size_t i = 0; i < bytes.size(); ++i) {
    CAPTURE(i);
    std::vector<uint8_t> changed = bytes;
    changed[i] ^= 1;
    const Result<BundleHead> head = parse(changed);
    const bool is_taken =
        head.ok() && verify_bundle(*head, {key.public_key()}).ok() && read_all(changed, *head).ok();
    CHECK_FALSE(is_taken);
  }
}

TEST_CASE("bundle: one that is cut or has more at its end is refused") {
  const TestBundle key;
  const auto bytes = key.bundle(key.manifest(1), {"app: pump\n", "model", "x"});
  for (size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(parse({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}).ok());
  }
  std::vector<uint8_t> longer = bytes;
  longer.push_back(0);
  CHECK_FALSE(parse(longer).ok());
}

TEST_CASE("bundle: a signature by another key is refused by name") {
  const TestBundle key;
  const auto bytes = key.bundle(key.manifest(1), {"app: pump\n", "model", "x"});
  const Status status = verify_bundle(parse(bytes).value(), {host::PublicKey{1, 2, 3}});
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().message ==
        "signed by the key d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a, which "
        "is not a trusted one");
}

TEST_CASE("bundle: paths that could leave the folder are none") {
  for (const char* path : {"app.yaml", "models/a-b_c.1.ew", "a/b/c/d/e/f/g/h"}) {
    CAPTURE(path);
    CHECK(is_bundle_path(path));
  }
  for (const char* path : {"", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", ".ssh/key",
                           "a\\b", "c:x", "a b", "a\nb", "a/b/c/d/e/f/g/h/i"}) {
    CAPTURE(path);
    CHECK_FALSE(is_bundle_path(path));
  }
  CHECK_FALSE(is_bundle_path(std::string(201, 'a')));
}

TEST_CASE("bundle: manifests that contradict themselves are refused by name") {
  const TestBundle key;
  const auto refused = [&](const char* what, auto change) {
    BundleManifest manifest = key.manifest(1);
    change(manifest);
    const auto head = encode_bundle_head(manifest, key.key());
    REQUIRE_FALSE(head.ok());
    CAPTURE(head.error().message);
    CHECK(head.error().message.find(what) != std::string::npos);
  };
  refused("'models/m.ew' is there twice", [](auto& m) { m.files[0].path = m.files[1].path; });
  refused("'models' is a file and a folder", [](auto& m) { m.files[2].path = "models"; });
  refused("expected one of the files, found 'other'", [](auto& m) { m.app = "other"; });
  refused("found 0", [](auto& m) { m.version = 0; });
  refused("name:", [](auto& m) { m.name = "a b"; });
  refused("target:", [](auto& m) { m.target = "a/b"; });
  refused("larger than 1 TiB", [](auto& m) { m.files[0].bytes = ~uint64_t{0}; });
  refused("found 0", [](auto& m) { m.files.clear(); });
}

}  // namespace
}  // namespace ew::agent
