#include "host/access_token.h"

#include <algorithm>

#include "host/plugin/sodium_plugin.h"
#include "host/plugins.h"

namespace ew::host {
namespace {

constexpr size_t kTokenBytes = 32;
constexpr size_t kMaxFileBytes = 4096;
constexpr int kWrongAllowed = 5;
constexpr int64_t kWrongWindowUs = 10'000'000;
constexpr std::string_view kFirstLine = "edgewise access tokens 1";

std::string hex(Bytes bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string out;
  for (const uint8_t byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

}  // namespace

const char* to_string(Access access) {
  return access == Access::kPublic ? "public" : access == Access::kView ? "view" : "operate";
}

Result<AccessTokens> AccessTokens::open(FileSystem& files, const std::string& path) {
  EW_TRY(const SodiumPlugin* plugin, sodium());
  AccessTokens tokens;
  tokens.digest_key_.resize(32);
  plugin->random(tokens.digest_key_.data(), tokens.digest_key_.size());
  const Result<std::vector<uint8_t>> content = read_whole_file(files, path, kMaxFileBytes);
  if (content.ok()) {
    const std::vector<std::string> lines = split(as_text(*content), '\n');
    for (size_t i = 1; i < lines.size(); ++i) {
      const size_t space = lines[i].find(' ');
      const std::string role = lines[i].substr(0, space);
      if (space == std::string::npos || (role != "view" && role != "operate")) continue;
      tokens.entries_.push_back(
          {role == "view" ? Access::kView : Access::kOperate, lines[i].substr(space + 1), {}});
    }
    if (lines[0] != kFirstLine || tokens.entries_.empty()) {
      return invalid_data(path, ": is no file of access tokens; remove it to get new ones");
    }
    return tokens;
  }
  if (content.error().code != ErrorCode::kNotFound) return content.error();
  std::string text = str(kFirstLine, "\n");
  for (const Access role : {Access::kOperate, Access::kView}) {
    uint8_t random[kTokenBytes];
    plugin->random(random, sizeof(random));
    const std::string token = str("ew-", to_string(role), "-", hex(random));
    char hash[128];
    if (!plugin->hash_password(hash, token.data(), token.size())) {
      return make_error(ErrorCode::kResourceLimit, "no memory to hash a token");
    }
    text += str(to_string(role), " ", std::string(hash), "\n");
    tokens.entries_.push_back({role, hash, tokens.digest_of(token)});
    tokens.created_.push_back({role, token});
  }
  EW_TRY_VOID(replace_file(files, path, as_bytes(text)));
  return tokens;
}

std::vector<uint8_t> AccessTokens::digest_of(std::string_view token) const {
  std::vector<uint8_t> digest(16);
  const Result<const SodiumPlugin*> plugin = sodium();
  if (!plugin.ok()) return {};
  (*plugin)->keyed_hash(digest.data(), as_bytes(token).data(), token.size(), digest_key_.data());
  return digest;
}

AccessTokens::Verdict AccessTokens::check(std::string_view token, int64_t now_us, Access& role) {
  const Result<const SodiumPlugin*> plugin = sodium();
  if (!plugin.ok() || token.size() > 256) return Verdict::kWrong;
  const std::vector<uint8_t> digest = digest_of(token);
  for (const Entry& entry : entries_) {
    if (entry.digest.size() != digest.size() ||
        !(*plugin)->equal(entry.digest.data(), digest.data(), digest.size())) {
      continue;
    }
    role = entry.role;
    return Verdict::kKnown;
  }
  if (now_us - wrong_since_us_ > kWrongWindowUs) wrong_ = 0;
  if (wrong_ >= kWrongAllowed) return Verdict::kBusy;
  for (Entry& entry : entries_) {
    if (!(*plugin)->verify_password(entry.hash.c_str(), token.data(), token.size())) continue;
    entry.digest = digest;
    role = entry.role;
    return Verdict::kKnown;
  }
  if (wrong_++ == 0) wrong_since_us_ = now_us;
  return Verdict::kWrong;
}

}  // namespace ew::host
