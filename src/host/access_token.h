#pragma once
// Who may do what over HTTP: one token for each role, made at the first start.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "host/event_loop.h"
#include "host/file_system.h"

namespace ew::host {

enum class Access : uint8_t {
  kPublic,   ///< anyone who reaches the port
  kView,     ///< sees data, changes nothing
  kOperate,  ///< may do everything
};
const char* to_string(Access access);

/// Tokens are 256 random bits; the file holds their argon2id hashes only, so that who reads it
/// cannot use them. For the event loop's thread.
class AccessTokens {
 public:
  struct Created {
    Access role;
    std::string token;  ///< shown once; nothing keeps it
  };

  /// Reads the file, or makes tokens for both roles and writes it. Errors: kIo; kInvalidData if the
  /// file is no such file (remove it to get new tokens).
  static Result<AccessTokens> open(FileSystem& files, const std::string& path);
  /// What open() made; empty if the file was there.
  const std::vector<Created>& created() const { return created_; }

  /// The role of a token, or nothing. The first use of a token costs some milliseconds, later ones
  /// a hash. After several wrong ones it says kBusy for a while, without looking at the token.
  enum class Verdict { kKnown, kWrong, kBusy };
  Verdict check(std::string_view token, int64_t now_us, Access& role);

 private:
  struct Entry {
    Access role = Access::kView;
    std::string hash;
    std::vector<uint8_t> digest;  // keyed hash of the token, once it was seen
  };

  std::vector<uint8_t> digest_of(std::string_view token) const;

  std::vector<Entry> entries_;
  std::vector<Created> created_;
  std::vector<uint8_t> digest_key_;
  int wrong_ = 0;
  int64_t wrong_since_us_ = 0;
};

}  // namespace ew::host
