#include "host/http_server.h"

#include <algorithm>
#include <list>

#include "host/listener.h"
#include "host/stream.h"

namespace ew::host {
namespace {

constexpr std::string_view kBearer = "Bearer ";

struct Route {
  std::string method;
  std::string path;
  bool is_prefix = false;
  Access needs = Access::kOperate;
  HttpHandler handler;

  bool matches(std::string_view wanted) const {
    return is_prefix ? wanted.starts_with(path) : wanted == path;
  }
};

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address == "::1" || address == "localhost";
}

/// The name in a Host field, without its port.
std::string_view host_name(std::string_view host) {
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.find(':'));
}

/// So many a second, so many at once.
class RateLimit {
 public:
  RateLimit(double per_second, double burst)
      : per_us_(per_second / 1e6), burst_(burst), left_(burst) {}
  bool take(int64_t now_us) {
    if (last_us_ != 0) {
      left_ = std::min(burst_, left_ + static_cast<double>(now_us - last_us_) * per_us_);
    }
    last_us_ = now_us;
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

 private:
  double per_us_;
  double burst_;
  double left_;
  int64_t last_us_ = 0;
};

HttpResponse text_response(int status, std::string text) {
  HttpResponse response;
  response.status = status;
  response.headers.add("Content-Type", "text/plain; charset=utf-8");
  response.body = std::move(text) + "\n";
  return response;
}

}  // namespace

void HttpReply::send(int status, std::string content_type, std::string body) {
  HttpResponse response;
  response.status = status;
  response.headers.add("Content-Type", std::move(content_type));
  response.body = std::move(body);
  send(std::move(response));
}

struct HttpServer::State {
  class Connection;

  State(EventLoop& event_loop, const HttpServerOptions& server_options)
      : loop(event_loop),
        options(server_options),
        rate(server_options.max_requests_per_second, server_options.max_burst) {}

  void accept(int fd);
  void remove(Connection& connection);
  void dispatch(const HttpRequest& request, const std::shared_ptr<Connection>& connection);
  int check_access(const HttpRequest& request, Access needs, Access& role);

  EventLoop& loop;
  HttpServerOptions options;
  RateLimit rate;
  HttpServerCounters counters;
  std::vector<Route> routes;
  std::list<std::shared_ptr<Connection>> connections;
  std::unique_ptr<Listener> listener;
};

/// One connection and the reply to its present request; handlers share it.
class HttpServer::State::Connection final : public HttpReply,
                                            private StreamOwner,
                                            public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(State& state)
      : state_(&state), stream_(state.loop, *this), parser_(make_parser()) {}
  ~Connection() override { detach(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Status adopt(int fd) {
    set_timeout(state_->options.request_timeout_us);
    return stream_.adopt(fd, state_->options.tls, state_->options.request_timeout_us);
  }
  /// The server is gone: nothing is answered any more.
  void detach() {
    if (state_ == nullptr) return;
    state_->loop.cancel(timeout_);
    stream_.close();
    state_ = nullptr;
  }

  void send(HttpResponse response) override;
  void begin_events() override;
  bool send_event(std::string_view name, std::string_view data) override;
  bool is_open() const override { return state_ != nullptr && stream_.is_open(); }
  Access role() const override { return role_; }
  void set_role(Access role) { role_ = role; }
  void refuse(HttpResponse response) { send(std::move(response)); }

 private:
  HttpParser make_parser() const {
    return HttpParser(HttpParser::Kind::kRequest, state_->options.limits);
  }
  void on_open() override {}
  void on_input() override { read_requests(); }
  void on_drained() override {
    if (is_closing_ && stream_.is_open()) close();
  }
  void on_close(const Error&) override { close(); }
  void read_requests();
  void set_timeout(int64_t delay_us);
  void close();
  void write(std::string_view text) {
    std::vector<uint8_t>& out = stream_.output();
    out.insert(out.end(), text.begin(), text.end());
  }

  State* state_;
  Stream stream_;
  HttpParser parser_;
  EventLoop::TimerId timeout_;
  Access role_ = Access::kPublic;
  bool is_answering_ = false;  // a request waits for its reply
  bool is_streaming_ = false;
  bool is_closing_ = false;
  bool is_head_ = false;
  bool keeps_alive_ = true;
};

void HttpServer::State::Connection::set_timeout(int64_t delay_us) {
  state_->loop.cancel(timeout_);
  timeout_ = state_->loop.call_after(delay_us, [this] {
    timeout_ = {};
    if (parser_.has_begun() && !is_answering_ && !is_closing_) {
      keeps_alive_ = false;
      return send(text_response(408, "the request took too long"));
    }
    close();
  });
}

void HttpServer::State::Connection::close() {
  if (state_ == nullptr) return;
  State* state = state_;
  detach();
  state->remove(*this);
}

void HttpServer::State::Connection::read_requests() {
  while (state_ != nullptr && stream_.is_open() && !is_answering_ && !is_closing_) {
    const Bytes input = stream_.input();
    if (input.empty()) return;
    if (!parser_.has_begun()) set_timeout(state_->options.request_timeout_us);
    stream_.consume(parser_.feed(input));
    if (const std::optional<HttpFault>& fault = parser_.fault()) {
      ++state_->counters.malformed;
      keeps_alive_ = false;
      is_answering_ = true;
      return send(text_response(fault->status, fault->what));
    }
    if (!parser_.is_done()) continue;
    const HttpRequest request = std::move(parser_.request());
    parser_ = make_parser();
    is_answering_ = true;
    is_head_ = request.method == "HEAD";
    keeps_alive_ = request.keeps_alive;
    state_->loop.cancel(timeout_);
    state_->dispatch(request, shared_from_this());
  }
  // The next request waits in the socket until this one is answered.
  if (state_ != nullptr && stream_.is_open()) stream_.set_reading(!is_answering_ || is_streaming_);
}

void HttpServer::State::Connection::send(HttpResponse response) {
  if (!is_open() || is_streaming_ || is_closing_) return;
  response.keeps_alive = keeps_alive_;
  response.headers.add("X-Content-Type-Options", "nosniff");
  response.headers.add("Cache-Control", "no-store");
  std::string text;
  write_http_response(response, !is_head_, text);
  write(text);
  is_answering_ = false;
  if (!keeps_alive_) {
    is_closing_ = true;
    return set_timeout(state_->options.request_timeout_us);
  }
  set_timeout(state_->options.idle_timeout_us);
  stream_.set_reading(true);
  // What came in the meantime is read from the loop: a handler that answers at once is still inside
  // read_requests().
  state_->loop.post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->read_requests();
  });
}

void HttpServer::State::Connection::begin_events() {
  if (!is_open() || is_streaming_ || is_closing_) return;
  is_streaming_ = true;
  write(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
      "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n");
  stream_.set_reading(true);
}

bool HttpServer::State::Connection::send_event(std::string_view name, std::string_view data) {
  if (!is_open() || !is_streaming_) return false;
  if (stream_.output_bytes() + data.size() > state_->options.max_event_bytes) {
    ++state_->counters.dropped_events;
    return false;
  }
  write(str("event: ", name, "\n"));
  for (const std::string& line : split(data, '\n')) write(str("data: ", line, "\n"));
  write("\n");
  return true;
}

void HttpServer::State::accept(int fd) {
  const auto connection = std::make_shared<Connection>(*this);
  connections.push_back(connection);
  const Status status = connection->adopt(fd);
  if (!status.ok()) {
    connection->detach();
    remove(*connection);
  }
  if (connections.size() >= options.max_connections) listener->set_accepting(false);
}

void HttpServer::State::remove(Connection& connection) {
  // The last reference is dropped by the loop, for the caller may be the connection itself.
  const auto found = std::find_if(connections.begin(), connections.end(),
                                  [&](const auto& one) { return one.get() == &connection; });
  if (found == connections.end()) return;
  loop.post([last = *found] {});
  connections.erase(found);
  if (connections.size() < options.max_connections) listener->set_accepting(true);
}

int HttpServer::State::check_access(const HttpRequest& request, Access needs, Access& role) {
  role = Access::kPublic;
  const std::string_view field = request.headers.find("Authorization").value_or("");
  if (field.starts_with(kBearer) && options.tokens != nullptr) {
    const auto verdict = options.tokens->check(field.substr(kBearer.size()), loop.now_us(), role);
    if (verdict == AccessTokens::Verdict::kBusy) return 429;
    if (verdict == AccessTokens::Verdict::kWrong) role = Access::kPublic;
  }
  if (role >= needs) return 200;
  return role == Access::kPublic ? 401 : 403;
}

void HttpServer::State::dispatch(const HttpRequest& request,
                                 const std::shared_ptr<Connection>& connection) {
  ++counters.requests;
  const auto refuse = [&](int status, const char* why) {
    ++counters.refused;
    HttpResponse response = text_response(status, why);
    if (status == 401) response.headers.add("WWW-Authenticate", "Bearer");
    if (status == 429) response.headers.add("Retry-After", "1");
    connection->refuse(std::move(response));
  };
  if (!rate.take(loop.now_us())) return refuse(429, "too many requests");
  // A page elsewhere may name itself like this machine (DNS rebinding), but not change Host.
  const std::string_view host = host_name(request.headers.find("Host").value_or("localhost"));
  if (is_loopback(options.address) && !is_loopback(host)) {
    return refuse(421, "this server answers to localhost only");
  }
  const std::string_view method =
      request.method == "HEAD" ? "GET" : std::string_view(request.method);
  bool is_known_path = false;
  for (const Route& route : routes) {
    if (!route.matches(request.path)) continue;
    is_known_path = true;
    if (route.method != method) continue;
    Access role = Access::kPublic;
    const int status = check_access(request, route.needs, role);
    if (status != 200) {
      return refuse(status, status == 401   ? "a token is needed: Authorization: Bearer TOKEN"
                            : status == 403 ? "this token may only view"
                                            : "too many wrong tokens");
    }
    connection->set_role(role);
    return route.handler(request, connection);
  }
  connection->refuse(is_known_path ? text_response(405, "this path does not take this method")
                                   : text_response(404, "no such path"));
}

Result<std::unique_ptr<HttpServer>> HttpServer::open(EventLoop& loop,
                                                     const HttpServerOptions& options) {
  auto state = std::make_unique<State>(loop, options);
  State* raw = state.get();
  EW_TRY(state->listener,
         Listener::open(loop, options.address, options.port, [raw](int fd) { raw->accept(fd); }));
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() {
  for (const auto& connection : state_->connections) connection->detach();
}

uint16_t HttpServer::port() const { return state_->listener->port(); }

void HttpServer::route(std::string method, std::string path, Access needs, HttpHandler handler) {
  const bool is_prefix = path.ends_with("/*");
  if (is_prefix) path.pop_back();
  state_->routes.push_back(
      {std::move(method), std::move(path), is_prefix, needs, std::move(handler)});
}

const HttpServerCounters& HttpServer::counters() const { return state_->counters; }

}  // namespace ew::host
