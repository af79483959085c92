#pragma once
// Where HTTP requests go: the words of a URL with what it needs, and what they mean.

#include <algorithm>
#include <array>
#include <string>

#include "agent/client_tls.h"
#include "agent/settings.h"
#include "host/http_client.h"

namespace ew::agent {

inline constexpr WordDef kHttpTargetWords[] = {
    {.name = "url", .help = "http://HOST[:PORT]/PATH or https://...", .is_required = true},
    {.name = "headers", .kind = WordKind::kMap, .help = "further header fields"},
    {.name = "token_file", .help = "file with a bearer token in its first line"},
    {.name = "timeout",
     .kind = WordKind::kDuration,
     .help = "for the whole answer",
     .fallback = "30s",
     .min = 0.01,
     .max = 3600},
    {.name = "tls",
     .kind = WordKind::kMap,
     .help = "certificates, for https://",
     .words = kClientTlsWords},
};

/// The words of a target before a type's own.
template <size_t kOwn>
constexpr auto with_http_target(const WordDef (&own)[kOwn]) {
  std::array<WordDef, std::size(kHttpTargetWords) + kOwn> all{};
  std::copy(std::begin(own), std::end(own),
            std::copy(std::begin(kHttpTargetWords), std::end(kHttpTargetWords), all.begin()));
  return all;
}

/// A server's longest wish in Retry-After that is followed.
inline constexpr int64_t kMaxRetryAfterUs = 3'600'000'000;

struct HttpTarget {
  host::HttpClientOptions client;
  std::string path;
  host::HttpHeaders headers;
};

/// Errors: kInvalidData at the word that is wrong, or whose file cannot be read.
Result<HttpTarget> read_http_target(const Settings& settings);

}  // namespace ew::agent
