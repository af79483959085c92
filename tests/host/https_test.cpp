// HTTP over TLS: server and client of our own, with and without certificates that fit.
#include <doctest/doctest.h>

#include <optional>

#include "host/http_client.h"
#include "host/http_server.h"
#include "testing/mosquitto.h"

namespace ew::host {
namespace {

template <typename Condition>
bool run_until(EventLoop& loop, const Condition& is_done) {
  const int64_t end = loop.steady_us() + 20'000'000;
  while (!is_done() && loop.steady_us() < end) loop.run_once(100'000);
  return is_done();
}

}  // namespace

TEST_CASE("https: large bodies both ways; a stranger's certificate is refused on either side") {
  const testing::TemporaryFolder folder;
  REQUIRE(testing::make_certificates(folder.path()));
  TlsOptions server_options;
  server_options.is_server = true;
  server_options.ca_file = folder.path("ca.pem");  // clients must show one of its certificates
  server_options.certificate_file = folder.path("server.pem");
  server_options.key_file = folder.path("server.key");
  const auto server_tls = create_tls_context(server_options).value();
  const auto loop = EventLoop::create().value();
  HttpServerOptions options;
  options.tls = server_tls.get();
  options.request_timeout_us = 200'000;
  const auto server = HttpServer::open(*loop, options).value();
  server->route("POST", "/echo", Access::kPublic, [](const HttpRequest& request, auto reply) {
    reply->send(200, "application/octet-stream", request.body);
  });
  const auto post = [&](const std::string& ca, bool has_certificate) {
    TlsOptions tls;
    tls.ca_file = folder.path(ca);
    if (has_certificate) {
      tls.certificate_file = folder.path("client.pem");
      tls.key_file = folder.path("client.key");
    }
    HttpClientOptions client_options;
    client_options.host = "localhost";
    client_options.port = server->port();
    client_options.tls = create_tls_context(tls).value();
    HttpClient client(*loop, client_options);
    std::string said;
    for (int i = 0; i < 2; ++i) {  // the second over the same connection
      HttpRequest request;
      request.method = "POST";
      request.path = "/echo";
      request.body = std::string(700'000, static_cast<char>('a' + i));
      std::optional<Result<HttpResponse>> answer;
      REQUIRE(client.send(request, [&](Result<HttpResponse> r) { answer = std::move(r); }).ok());
      REQUIRE(run_until(*loop, [&] { return answer.has_value(); }));
      if (!answer->ok()) return answer->error().message;
      said = (*answer)->body == request.body ? "same" : "other";
    }
    return said;
  };
  CHECK(post("ca.pem", true) == "same");
  CHECK(post("other-ca.pem", true).find("certificate is refused") != std::string::npos);
  CHECK(post("ca.pem", false) != "same");
}

}  // namespace ew::host
