// HTTP requests and responses, whole and byte by byte: both ways must come to the same.
#include <algorithm>

#include "host/http_client.h"
#include "host/http_message.h"
#include "targets.h"

namespace ew::fuzz {
namespace {

host::HttpParser parse(host::HttpParser::Kind kind, Bytes bytes, size_t step) {
  host::HttpLimits limits;
  limits.max_body_bytes = 10'000;
  host::HttpParser parser(kind, limits);
  while (!bytes.empty() && !parser.is_done() && !parser.fault()) {
    const Bytes piece = bytes.first(std::min(step, bytes.size()));
    const size_t taken = parser.feed(piece);
    require(taken <= piece.size(), "no more is taken than was given");
    require(taken == piece.size() || parser.is_done() || parser.fault(),
            "all is taken until the end");
    bytes = bytes.subspan(taken);
  }
  parser.finish();
  return parser;
}

}  // namespace

void http(Bytes bytes) {
  using Kind = host::HttpParser::Kind;
  for (const Kind kind : {Kind::kRequest, Kind::kResponse}) {
    host::HttpParser whole = parse(kind, bytes, bytes.size());
    host::HttpParser pieces = parse(kind, bytes, 1);
    require(whole.is_done() == pieces.is_done(), "pieces change nothing");
    if (!whole.is_done()) continue;
    if (kind == Kind::kResponse) {
      require(whole.response().body == pieces.response().body, "pieces give the same body");
      (void)host::retry_after_us(whole.response(), 1'700'000'000'000'000);
      continue;
    }
    const host::HttpRequest& request = whole.request();
    require(request.path == pieces.request().path && request.body == pieces.request().body,
            "pieces give the same request");
    require(request.path.starts_with('/'), "a path begins with a slash");
    (void)request.parameter("x");
  }
  (void)host::parse_http_url(text_of(bytes));
}

}  // namespace ew::fuzz
