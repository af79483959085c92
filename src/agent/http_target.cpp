#include "agent/http_target.h"

#include "base/file.h"

namespace ew::agent {

Result<std::shared_ptr<host::TlsContext>> client_tls(const Settings& settings) {
  const Settings words = settings.map("tls");
  auto context = host::create_tls_context({.ca_file = words.text("ca"),
                                           .certificate_file = words.text("certificate"),
                                           .key_file = words.text("key"),
                                           .accepts_anyone = words.flag("insecure")});
  if (!context.ok()) return settings.error("tls", context.error().message);
  return std::shared_ptr<host::TlsContext>(std::move(*context));
}

Result<HttpTarget> read_http_target(const Settings& settings) {
  const auto url = host::parse_http_url(settings.text("url"));
  if (!url.ok()) return settings.error("url", url.error().message);
  HttpTarget target;
  target.path = url->path;
  target.client.host = url->host;
  target.client.port = url->port;
  target.client.response_timeout_us = settings.duration_us("timeout");
  if (url->uses_tls) {
    EW_TRY(target.client.tls, client_tls(settings));
  } else if (settings.has("tls")) {
    return settings.error("tls", "needs a url https://...");
  }
  if (const host::YamlNode* more = settings.node("headers")) {
    for (const host::YamlNode::Entry& entry : more->map) {
      if (!entry.value.is_scalar()) return entry.value.error("expected a text");
      target.headers.add(entry.key, entry.value.text);
    }
  }
  if (!settings.has("token_file")) return target;
  const auto content = read_file(settings.text("token_file"), 65536);
  if (!content.ok()) return settings.error("token_file", content.error().message);
  const std::string text(content->begin(), content->end());
  target.headers.add("Authorization", "Bearer " + text.substr(0, text.find_first_of("\r\n")));
  return target;
}

}  // namespace ew::agent
