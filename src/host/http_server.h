#pragma once
// An HTTP/1.1 server on the event loop: routes with roles, limits, TLS, server-sent events.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "host/access_token.h"
#include "host/event_loop.h"
#include "host/http_message.h"
#include "host/tls.h"

namespace ew::host {

struct HttpServerOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 0;  ///< 0: a free one
  TlsContext* tls = nullptr;
  AccessTokens* tokens = nullptr;  ///< without it only public routes answer
  HttpLimits limits{};
  size_t max_connections = 64;
  /// A request must be whole in this time after its first byte, a TLS handshake too.
  int64_t request_timeout_us = 10'000'000;
  /// A connection without requests is closed then.
  int64_t idle_timeout_us = 60'000'000;
  /// Requests a second that all clients together may make, and how many at once.
  double max_requests_per_second = 200;
  double max_burst = 400;
  /// Events that a slow receiver has not taken; beyond, events for it are dropped.
  size_t max_event_bytes = 256 << 10;
};

struct HttpServerCounters {
  uint64_t requests = 0;
  uint64_t refused = 0;    ///< 401, 403, 421, 429
  uint64_t malformed = 0;  ///< 400, 413, 431 and the like
  uint64_t dropped_events = 0;
};

/// Answers one request, now or later. Answers nothing once the client is gone.
class HttpReply {
 public:
  virtual ~HttpReply() = default;
  virtual void send(HttpResponse response) = 0;
  void send(int status, std::string content_type, std::string body);
  /// Begins a stream of server-sent events (text/event-stream) instead.
  virtual void begin_events() = 0;
  /// One event; `data` may have several lines. False if it was dropped or the client is gone.
  virtual bool send_event(std::string_view name, std::string_view data) = 0;
  virtual bool is_open() const = 0;
  virtual Access role() const = 0;
};

using HttpHandler = std::function<void(const HttpRequest&, std::shared_ptr<HttpReply>)>;

class HttpServer {
 public:
  /// Errors: see Listener::open.
  static Result<std::unique_ptr<HttpServer>> open(EventLoop& loop,
                                                  const HttpServerOptions& options);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const;
  /// A path that ends in "/*" matches all below. GET routes answer HEAD too. Who lacks the role
  /// gets 401 or 403; tokens come as "Authorization: Bearer TOKEN".
  void route(std::string method, std::string path, Access needs, HttpHandler handler);
  const HttpServerCounters& counters() const;

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ew::host
