#include <doctest/doctest.h>

#include <cstdlib>
#include <optional>

#include "base/rng.h"
#include "host/http_client.h"
#include "host/http_server.h"
#include "host/listener.h"
#include "host/metrics.h"
#include "host/signature.h"
#include "testing/faulty_file_system.h"
#include "testing/temporary_folder.h"

namespace ew::host {
namespace {

/// Feeds the text in pieces of `step` bytes.
HttpParser parsed(HttpParser::Kind kind, std::string_view text, size_t step = 1000,
                  const HttpLimits& limits = {}) {
  HttpParser parser(kind, limits);
  while (!text.empty() && !parser.is_done() && !parser.fault()) {
    parser.feed(as_bytes(text.substr(0, step)));
    text.remove_prefix(std::min(step, text.size()));
  }
  return parser;
}

int request_status(std::string_view text, const HttpLimits& limits = {}) {
  const HttpParser parser = parsed(HttpParser::Kind::kRequest, text, 7, limits);
  return parser.fault() ? parser.fault()->status : parser.is_done() ? 200 : 0;
}

template <typename Condition>
bool run_until(EventLoop& loop, const Condition& is_done) {
  const int64_t end = loop.steady_us() + 10'000'000;
  while (!is_done() && loop.steady_us() < end) loop.run_once(100'000);
  return is_done();
}

/// A server and a client of it on one loop.
struct Site {
  explicit Site(HttpServerOptions options = {}) {
    server = HttpServer::open(*loop, options).value();
    HttpClientOptions client_options;
    client_options.port = server->port();
    client = std::make_unique<HttpClient>(*loop, client_options);
  }
  HttpResponse ask(HttpRequest request) {
    std::optional<Result<HttpResponse>> answer;
    REQUIRE(client->send(std::move(request), [&](Result<HttpResponse> r) { answer = std::move(r); })
                .ok());
    REQUIRE(run_until(*loop, [&] { return answer.has_value(); }));
    REQUIRE_MESSAGE(answer->ok(), (answer->ok() ? "" : answer->error().message));
    return std::move(**answer);
  }
  HttpResponse get(const std::string& path, const std::string& token = "") {
    HttpRequest request;
    request.path = path;
    if (!token.empty()) request.headers.add("Authorization", "Bearer " + token);
    return ask(std::move(request));
  }

  std::unique_ptr<EventLoop> loop = EventLoop::create().value();
  std::unique_ptr<HttpServer> server;
  std::unique_ptr<HttpClient> client;
};

}  // namespace

TEST_CASE("http: a request in pieces of any size is the same request") {
  const std::string text =
      "POST /api/a%20b?x=1&name=%C3%A9+z HTTP/1.1\r\nHost: localhost\r\nX-One:  1 \r\n"
      "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n5;ext=1\r\nefghi\r\n0\r\nTrailer: t\r\n\r\n";
  for (size_t step = 1; step <= text.size(); ++step) {
    HttpParser parser = parsed(HttpParser::Kind::kRequest, text, step);
    REQUIRE(parser.is_done());
    const HttpRequest& request = parser.request();
    CHECK(request.method == "POST");
    CHECK(request.path == "/api/a b");
    CHECK(request.parameter("name") == "\xC3\xA9 z");
    CHECK_FALSE(request.parameter("y").has_value());
    CHECK(request.headers.find("x-one") == "1");
    CHECK(request.body == "abcdefghi");
    CHECK(request.keeps_alive);
  }
}

TEST_CASE("http: what two readers could understand differently is refused") {
  const std::string host = "Host: x\r\n";
  CHECK(request_status("GET / HTTP/1.1\r\n" + host + "\r\n") == 200);
  CHECK(request_status("GET / HTTP/1.1\r\n\r\n") == 400);
  for (const char* bad :
       {"Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "Content-Length: +1\r\n",
        "Content-Length: 1,1\r\n", "Content-Length: 0x1\r\n", "Host: y\r\n", "X : 1\r\n",
        " folded: 1\r\n", "X\r\n", "X: a\x01\r\n", "X: a\nY: b\r\n"}) {
    CAPTURE(bad);
    CHECK(request_status("GET / HTTP/1.1\r\n" + host + bad + "\r\n") == 400);
  }
  CHECK(request_status("GET / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n") == 501);
  for (const char* line : {"GET  / HTTP/1.1", "GET / HTTP/2.0", "GET x HTTP/1.1", "G\tT / HTTP/1.1",
                           "GET /../etc HTTP/1.1", "GET /%2e%2e/x HTTP/1.1", "GET /%00 HTTP/1.1",
                           "GET /%4 HTTP/1.1", "GET /", ""}) {
    CAPTURE(line);
    CHECK(request_status(std::string(line) + "\r\n" + host + "\r\n") == 400);
  }
  const std::string chunked = "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n";
  for (const char* body : {"g\r\n", "-1\r\n", "1\nx\r\n", "1\r\nxy\r\n", "fffffffff\r\n", "\r\n"}) {
    CAPTURE(body);
    CHECK(request_status(chunked + body) == 400);
  }
}

TEST_CASE("http: everything is bounded") {
  HttpLimits limits;
  limits.max_head_bytes = 200;
  limits.max_fields = 3;
  limits.max_body_bytes = 10;
  const std::string start = "POST / HTTP/1.1\r\nHost: x\r\n";
  CHECK(request_status(start + "A: " + std::string(300, 'a'), limits) == 431);
  CHECK(request_status(start + "A: 1\r\nB: 2\r\nC: 3\r\n\r\n", limits) == 431);
  CHECK(request_status(start + "Content-Length: 11\r\n\r\n", limits) == 413);
  CHECK(request_status(start + "Content-Length: 1073741824\r\n\r\n", limits) == 413);
  CHECK(request_status(start + "Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n6\r\nabcdef",
                       limits) == 413);
  CHECK(request_status(start + "Content-Length: 10\r\n\r\n0123456789", limits) == 200);
}

TEST_CASE("http: responses end by length, by chunks, or with the connection") {
  HttpParser length =
      parsed(HttpParser::Kind::kResponse, "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok");
  REQUIRE(length.is_done());
  CHECK(length.response().status == 201);
  HttpParser open = parsed(HttpParser::Kind::kResponse, "HTTP/1.1 200 OK\r\n\r\nall of it");
  CHECK_FALSE(open.is_done());
  open.finish();
  REQUIRE(open.is_done());
  CHECK(open.response().body == "all of it");
  CHECK_FALSE(open.response().keeps_alive);
  HttpResponse later;
  later.headers.add("Retry-After", "3");
  CHECK(retry_after_us(later, 0) == 3'000'000);
  HttpResponse dated;
  dated.headers.add("Retry-After", "Thu, 01 Jan 1970 00:01:00 GMT");
  CHECK(retry_after_us(dated, 20'000'000) == 40'000'000);
  HttpResponse wrong;
  wrong.headers.add("Retry-After", "soon");
  CHECK_FALSE(retry_after_us(wrong, 0).has_value());
}

TEST_CASE("http server: routes, methods, kept connections, errors") {
  Site site;
  site.server->route("GET", "/healthz", Access::kPublic, [](const HttpRequest&, auto reply) {
    reply->send(200, "text/plain", "ok\n");
  });
  site.server->route("POST", "/echo/*", Access::kPublic,
                     [](const HttpRequest& request, auto reply) {
                       reply->send(200, "text/plain", request.path + " " + request.body);
                     });
  std::shared_ptr<HttpReply> waiting;
  site.server->route("GET", "/later", Access::kPublic,
                     [&](const HttpRequest&, auto reply) { waiting = reply; });
  CHECK(site.get("/healthz").body == "ok\n");
  HttpRequest post;
  post.method = "POST";
  post.path = "/echo/a";
  post.body = std::string(100'000, 'x');
  CHECK(site.ask(post).body == "/echo/a " + post.body);
  CHECK(site.get("/nothing").status == 404);
  HttpRequest wrong;
  wrong.method = "PUT";
  wrong.path = "/healthz";
  CHECK(site.ask(wrong).status == 405);
  HttpRequest head;
  head.method = "HEAD";
  head.path = "/healthz";
  CHECK(site.ask(head).body.empty());
  int answered = 0;
  HttpRequest later;
  later.path = "/later";
  REQUIRE(
      site.client->send(later, [&](Result<HttpResponse> r) { answered = r.ok() ? r->status : -1; })
          .ok());
  REQUIRE(run_until(*site.loop, [&] { return waiting != nullptr; }));
  CHECK(answered == 0);
  waiting->send(202, "text/plain", "done");
  REQUIRE(run_until(*site.loop, [&] { return answered == 202; }));
  CHECK(site.server->counters().requests == 6);
}

TEST_CASE("http server: tokens open what their role may do, and are not kept in the clear") {
  testing::FaultyFileSystem files;
  AccessTokens tokens = AccessTokens::open(files, "state/tokens").value();
  REQUIRE(tokens.created().size() == 2);
  const std::string operate = tokens.created()[0].token;
  const std::string view = tokens.created()[1].token;
  CHECK(tokens.created()[0].role == Access::kOperate);
  const std::string file(as_text(files.content("state/tokens")));
  CHECK(file.find("$argon2id$") != std::string::npos);
  CHECK(file.find(operate) == std::string::npos);
  AccessTokens again = AccessTokens::open(files, "state/tokens").value();
  CHECK(again.created().empty());
  HttpServerOptions options;
  options.tokens = &again;
  Site site(options);
  const auto answer = [](const HttpRequest&, auto reply) {
    reply->send(200, "text/plain", to_string(reply->role()));
  };
  site.server->route("GET", "/api/state", Access::kView, answer);
  site.server->route("GET", "/api/stop", Access::kOperate, answer);
  CHECK(site.get("/api/state").status == 401);
  CHECK(site.get("/api/state", view).body == "view");
  CHECK(site.get("/api/stop", view).status == 403);
  CHECK(site.get("/api/stop", operate).body == "operate");
  for (int i = 0; i < 5; ++i) CHECK(site.get("/api/state", str("guess", i)).status == 401);
  CHECK(site.get("/api/state", "guess").status == 429);
  CHECK(site.get("/api/state", view).status == 200);  // the owner is not locked out
}

TEST_CASE("http server: other names, too many requests, slow ones and bad ones are refused") {
  HttpServerOptions options;
  options.max_burst = 5;
  options.max_requests_per_second = 0.001;
  options.request_timeout_us = 20'000;
  Site site(options);
  site.server->route("GET", "/", Access::kPublic,
                     [](const HttpRequest&, auto reply) { reply->send(200, "text/plain", "x"); });
  const auto talk = [&](const std::string& text) {
    struct Talk final : StreamOwner {
      void on_open() override { is_open = true; }
      void on_input() override {
        received += as_text(stream->input());
        stream->consume(stream->input().size());
      }
      void on_close(const Error&) override { is_closed = true; }
      Stream* stream = nullptr;
      std::string received;
      bool is_open = false;
      bool is_closed = false;
    } owner;
    Stream stream(*site.loop, owner);
    owner.stream = &stream;
    stream.connect({"127.0.0.1", site.server->port()});
    REQUIRE(run_until(*site.loop, [&] { return owner.is_open; }));
    stream.output().insert(stream.output().end(), text.begin(), text.end());
    REQUIRE(run_until(*site.loop, [&] { return owner.is_closed; }));
    return owner.received.substr(0, 12);
  };
  CHECK(talk("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n") ==
        "HTTP/1.1 421");
  CHECK(talk("GET / HTTP/1.1\r\nHost: localhost:80\r\nConnection: close\r\n\r\n") ==
        "HTTP/1.1 200");
  CHECK(talk("nonsense\r\n\r\n") == "HTTP/1.1 400");
  CHECK(talk("GET / HTTP/1.1\r\nHost: x") == "HTTP/1.1 408");
  // Two requests in one piece are two answers.
  CHECK(talk("GET / HTTP/1.1\r\nHost: [::1]\r\n\r\nGET / HTTP/1.1\r\nHost: "
             "127.0.0.1\r\nConnection: close\r\n\r\n") == "HTTP/1.1 200");
  CHECK(site.get("/").status == 200);
  const HttpResponse refused = site.get("/");
  CHECK(refused.status == 429);
  CHECK(retry_after_us(refused, 0) == 1'000'000);
}

TEST_CASE(
    "http server: events reach who listens; a slow listener loses events, not the agent its "
    "memory") {
  HttpServerOptions options;
  options.max_event_bytes = 64 << 10;
  Site site(options);
  std::shared_ptr<HttpReply> listener;
  site.server->route("GET", "/events", Access::kPublic, [&](const HttpRequest&, auto reply) {
    reply->begin_events();
    reply->send_event("alert", "line 1\nline 2");
    listener = reply;
  });
  std::optional<Result<HttpResponse>> answer;
  HttpRequest request;
  request.path = "/events";
  REQUIRE(site.client->send(request, [&](Result<HttpResponse> r) { answer = std::move(r); }).ok());
  REQUIRE(run_until(*site.loop, [&] { return listener != nullptr; }));
  int sent = 0;
  while (listener->send_event("x", std::string(10'000, 'y')) && sent < 100) ++sent;
  CHECK(sent >= 5);
  CHECK(sent < 7);
  CHECK(site.server->counters().dropped_events == 1);
  for (int i = 0; i < 20; ++i) site.loop->run_once(1000);
  site.server.reset();  // ends the stream
  CHECK_FALSE(listener->is_open());
  CHECK_FALSE(listener->send_event("x", "y"));
  REQUIRE(run_until(*site.loop, [&] { return answer.has_value(); }));
  REQUIRE(answer->ok());
  CHECK((**answer).body.starts_with("event: alert\ndata: line 1\ndata: line 2\n\nevent: x\n"));
}

TEST_CASE("http client: nobody there, no answer, too much, and a connection that had ended") {
  const auto loop = EventLoop::create().value();
  uint16_t port = 0;
  {
    port = Listener::open(*loop, "127.0.0.1", 0, [](int) {}).value()->port();
  }
  const auto ask = [&](const HttpClientOptions& options) {
    HttpClient client(*loop, options);
    std::optional<Result<HttpResponse>> answer;
    REQUIRE(client.send({}, [&](Result<HttpResponse> r) { answer = std::move(r); }).ok());
    REQUIRE(run_until(*loop, [&] { return answer.has_value(); }));
    return answer->ok() ? std::string("ok") : answer->error().message;
  };
  HttpClientOptions options;
  options.port = port;
  CHECK(ask(options).find("cannot connect") != std::string::npos);
  HttpServerOptions server_options;
  const auto server = HttpServer::open(*loop, server_options).value();
  std::vector<std::shared_ptr<HttpReply>> kept;
  server->route("GET", "/", Access::kPublic,
                [&](const HttpRequest&, auto reply) { kept.push_back(reply); });
  options.port = server->port();
  options.response_timeout_us = 10'000;
  CHECK(ask(options).find("no response within 10 ms") != std::string::npos);
  options.max_waiting = 1;
  HttpClient full(*loop, options);
  REQUIRE(full.send({}, [](Result<HttpResponse>) {}).ok());
  CHECK_FALSE(full.send({}, [](Result<HttpResponse>) {}).ok());
  const auto url = parse_http_url("https://example.org:8443/a?b=c");
  REQUIRE(url.ok());
  CHECK(url->uses_tls);
  CHECK(url->port == 8443);
  CHECK(url->path == "/a?b=c");
  for (const char* bad :
       {"ftp://x", "http://", "http://x:0", "http://x:99999", "http://u@x", "http://x/a b"}) {
    CHECK_FALSE(parse_http_url(bad).ok());
  }
}

TEST_CASE("metrics: text for Prometheus and OpenMetrics") {
  Metrics metrics;
  metrics.counter("edgewise_messages_total", "Messages \"in\".", {{"source", "a\"b\\c\n"}}).add(3);
  metrics.counter("edgewise_messages_total", "", {{"source", "a\"b\\c\n"}}).add();
  Gauge& queue = metrics.gauge("edgewise_queue_records", "Records that wait.");
  metrics.before_text([&] { queue.set(2.5); });
  LatencyHistogram& latency =
      metrics.histogram("edgewise_latency_seconds", "Per stage.", {{"stage", "in"}});
  for (const int64_t us : {1, 16, 17, 1000, 100'000'000}) latency.add_us(us);
  CHECK(latency.count() == 5);
  CHECK(latency.in_class(0) == 2);
  CHECK(latency.in_class(1) == 1);
  CHECK(latency.in_class(6) == 1);  // 512 < 1000 <= 1024
  CHECK(latency.quantile_seconds(0.5) == doctest::Approx(32e-6));
  const std::string text = metrics.text(MetricsFormat::kPrometheus);
  CHECK(
      text.starts_with("# HELP edgewise_messages_total Messages \"in\".\n"
                       "# TYPE edgewise_messages_total counter\n"
                       "edgewise_messages_total{source=\"a\\\"b\\\\c\\n\"} 4\n"));
  CHECK(text.find("edgewise_queue_records 2.5\n") != std::string::npos);
  CHECK(text.find("edgewise_latency_seconds_bucket{stage=\"in\",le=\"+Inf\"} 5\n") !=
        std::string::npos);
  CHECK(text.find("edgewise_latency_seconds_count{stage=\"in\"} 5\n") != std::string::npos);
  const std::string open = metrics.text(MetricsFormat::kOpenMetrics);
  CHECK(open.find("# TYPE edgewise_messages counter\nedgewise_messages_total{") !=
        std::string::npos);
  CHECK(open.ends_with("# EOF\n"));
  CHECK(Metrics::format_for("text/html, application/openmetrics-text;version=1.0.0") ==
        MetricsFormat::kOpenMetrics);
  CHECK(Metrics::format_for("*/*") == MetricsFormat::kPrometheus);
}

// The keys of RFC 8032, section 7.1, TEST 1, as openssl writes them.
constexpr const char* kPrivatePem =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
constexpr const char* kPublicPem =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
    "-----END PUBLIC KEY-----\n";

TEST_CASE("signature: signs and verifies with keys in PEM") {
  const testing::TemporaryFolder folder;
  FileSystem& files = real_file_system();
  REQUIRE(replace_file(files, folder.path("key"), as_bytes(std::string(kPrivatePem))).ok());
  REQUIRE(replace_file(files, folder.path("key.pub"), as_bytes(std::string(kPublicPem))).ok());
  const SigningKey key = SigningKey::load(folder.path("key")).value();
  const PublicKey known = load_public_key(folder.path("key.pub")).value();
  CHECK(known == key.public_key());
  CHECK(hex_text(known) == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  Signature signature = key.sign(as_bytes("manifest"));
  CHECK(verify_signature(known, as_bytes("manifest"), signature).ok());
  CHECK_FALSE(verify_signature(known, as_bytes("manifesT"), signature).ok());
  signature[5] ^= 1;
  CHECK_FALSE(verify_signature(known, as_bytes("manifest"), signature).ok());
  CHECK_FALSE(SigningKey::load(folder.path("key.pub")).ok());
  CHECK_FALSE(load_public_key(folder.path("key")).ok());
}

TEST_CASE("signature: the first test vector of RFC 8032") {
  // Section 7.1, TEST 1: an empty message.
  const testing::TemporaryFolder folder;
  REQUIRE(replace_file(real_file_system(), folder.path("key"), as_bytes(std::string(kPrivatePem)))
              .ok());
  const Signature signature = SigningKey::load(folder.path("key")).value().sign({});
  CHECK(signature[0] == 0xe5);
  CHECK(signature[1] == 0x56);
  CHECK(signature[63] == 0x0b);
}

TEST_CASE("sha256: the test vector of FIPS 180-4 in two pieces") {
  Sha256 hash = Sha256::create().value();
  hash.update(as_bytes("a"));
  hash.update(as_bytes("bc"));
  CHECK(hex_text(hash.finish()) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace ew::host
